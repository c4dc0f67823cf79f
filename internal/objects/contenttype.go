package objects

import (
	"path"
	"strings"

	"headwater/internal/mediastore"
)

// contentType is what an object is taken for when its uploader does not say,
// which most encoders do not: players and CDNs go by it.
func contentType(p mediastore.Path) string {
	switch strings.ToLower(path.Ext(string(p))) {
	case ".m3u8":
		return "application/vnd.apple.mpegurl" // RFC 8216, section 4
	case ".mpd":
		return "application/dash+xml" // ISO/IEC 23009-1, annex C
	case ".m4s", ".cmfv", ".cmfa", ".cmft":
		return "video/iso.segment"
	case ".mp4", ".m4v":
		return "video/mp4"
	case ".m4a":
		return "audio/mp4"
	case ".ts":
		return "video/mp2t" // RFC 3555
	case ".aac":
		return "audio/aac"
	case ".vtt":
		return "text/vtt"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	default:
		return "application/octet-stream"
	}
}
