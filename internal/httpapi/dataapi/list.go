package dataapi

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"headwater/internal/engine"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// maxPage is the largest and the default number of items in an answer.
const maxPage = 1000

// listItem is the structure Item. A folder has a name and a type only. The model
// has no storage class: it is there only when it is not the usual one, and SDKs
// leave it out.
type listItem struct {
	Name          string
	Type          string
	ETag          mediastore.ETag `json:",omitempty"`
	LastModified  json.Number     `json:",omitempty"`
	ContentType   string          `json:",omitempty"`
	ContentLength *int64          `json:",omitempty"`
	StorageClass  string          `json:",omitempty"`
}

type itemPage struct {
	Items     []listItem
	NextToken string `json:",omitempty"`
}

func (c *call) listItems() error {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return mediastore.Invalid("query", "is not percent-encoded correctly")
	}
	folder, err := mediastore.ParseFolder(query.Get("Path"), c.api.Objects.Quotas().Path)
	if err != nil {
		return err
	}
	c.fact.Path = string(folder)
	if _, err := c.authorize("mediastore:ListItems", string(folder)); err != nil {
		return err
	}
	limit, err := parseLimit(query.Get("MaxResults"))
	if err != nil {
		return err
	}
	after, err := parseToken(query.Get("NextToken"))
	if err != nil {
		return err
	}
	items, more, err := c.api.Objects.List(c.r.Context(), c.container.ID, folder, after, limit)
	if err != nil {
		return err
	}
	page := itemPage{Items: make([]listItem, 0, len(items))}
	for i := range items {
		page.Items = append(page.Items, toListItem(&items[i]))
	}
	if more {
		page.NextToken = token(&items[len(items)-1])
	}
	return writeJSON(c.w, http.StatusOK, page)
}

func toListItem(item *mediastore.Item) listItem {
	if item.Folder {
		return listItem{Name: item.Name, Type: "FOLDER"}
	}
	li := listItem{
		Name:          item.Name,
		Type:          "OBJECT",
		ETag:          item.Object.ETag,
		LastModified:  httpapi.EpochSeconds(item.Object.LastModified),
		ContentType:   item.Object.ContentType,
		ContentLength: &item.Object.Size,
	}
	if item.Object.InfrequentAccess {
		li.StorageClass = string(item.Object.StorageClass())
	}
	return li
}

func parseLimit(s string) (int, error) {
	if s == "" {
		return maxPage, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxPage {
		return 0, mediastore.Invalid("MaxResults", "must be a number from 1 to %d", maxPage)
	}
	return n, nil
}

// token names the place after an item: the letter of its type, then its name.
func token(item *mediastore.Item) string {
	kind := "O"
	if item.Folder {
		kind = "F"
	}
	return base64.URLEncoding.EncodeToString([]byte(kind + item.Name))
}

// maxToken bounds a token that is looked at, in characters.
const maxToken = 2048

func parseToken(s string) (engine.Position, error) {
	if s == "" {
		return engine.Position{}, nil
	}
	b, err := base64.URLEncoding.Strict().DecodeString(s)
	if err != nil || len(s) > maxToken || len(b) < 2 || b[0] != 'O' && b[0] != 'F' {
		return engine.Position{}, mediastore.Invalid("NextToken", "is not a token that ListItems returned")
	}
	return engine.Position{Name: string(b[1:]), Folder: b[0] == 'F'}, nil
}
