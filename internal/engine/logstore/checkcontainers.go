package logstore

import (
	"bytes"

	"headwater/internal/mediastore"
)

// containerTables are the two tables that know the containers, as far as they
// can be read. Each can be made again from the other, but for documents, tags and
// the time of creation, which only the first one has.
type containerTables struct {
	entries map[containerName]*mediastore.Container // nil: cannot be read
	byID    map[mediastore.ContainerID]containerName
	owners  map[mediastore.ContainerID]owner
	ids     map[containerName]mediastore.ContainerID
	region  string // of one of them
}

type containerName struct {
	account mediastore.AccountID
	name    mediastore.ContainerName
}

func parseContainerKey(key []byte) (containerName, bool) {
	account, name, ok := bytes.Cut(key[1:], []byte{separator})
	return containerName{mediastore.AccountID(account), mediastore.ContainerName(name)}, ok && len(name) > 0
}

func (n containerName) key() []byte { return containerKey(n.account, n.name) }

func (c *checker) loadContainers() error {
	t := containerTables{
		entries: make(map[containerName]*mediastore.Container), byID: make(map[mediastore.ContainerID]containerName),
		owners: make(map[mediastore.ContainerID]owner), ids: make(map[containerName]mediastore.ContainerID),
	}
	err := c.table(tableContainers, func(key, value []byte) {
		name, ok := parseContainerKey(key)
		if !ok {
			c.wrong(fix(key, nil), "%q: is not a container's key", key)
			return
		}
		t.entries[name] = nil
		if container, err := decodeContainer(value); err == nil {
			t.entries[name], t.byID[container.ID], t.region = &container, name, container.Region
		}
	})
	if err != nil {
		return err
	}
	c.containers = t
	return c.table(tableIDs, func(key, value []byte) {
		if o, err := decodeOwner(value); err == nil {
			id := mediastore.ContainerID(key[1:])
			t.owners[id], t.ids[containerName{o.account, o.name}] = o, id
		}
	})
}

// checkContainers: a container's record is of the name that it is found by, and
// its ID leads back to it.
func (c *checker) checkContainers() error {
	for name, container := range c.containers.entries {
		if container == nil {
			c.rebuild(name, "cannot be read")
			continue
		}
		if own := (containerName{container.Account, container.Name}); c.isMisfiled(name, own, container.ID) {
			fixes := append(fix(name.key(), nil), entry{own.key(), encodeContainer(container)})
			c.wrong(fixes, "container %s: is found by the name %s", own.name, name.name)
			continue
		}
		proper := c.proper(name, *container)
		if !bytes.Equal(encodeContainer(&proper), encodeContainer(container)) {
			c.wrong(fix(name.key(), encodeContainer(&proper)), "container %s: is not of its name, its ID or a status that there is", name.name)
		}
		if o, ok := c.containers.owners[proper.ID]; !ok || o != ownerOf(&proper) {
			c.wrong(fix(idKey(proper.ID), ownerOf(&proper).encode()), "container %s: its ID %s leads to %+v", name.name, proper.ID, o)
		}
	}
	return nil
}

// isMisfiled reports whether a record lies under another name than it and its ID
// agree on.
func (c *checker) isMisfiled(name, own containerName, id mediastore.ContainerID) bool {
	_, taken := c.containers.entries[own]
	return own != name && !taken && c.containers.ids[own] == id
}

// proper is a container's record as everything else says that it should be.
func (c *checker) proper(name containerName, container mediastore.Container) mediastore.Container {
	container.Account, container.Name = name.account, name.name
	id, known := c.containers.ids[name]
	if _, own := c.containers.owners[container.ID]; known && !own && !c.holdsObjects(container.ID) {
		container.ID = id
	}
	switch container.Status {
	case mediastore.StatusCreating, mediastore.StatusActive, mediastore.StatusDeleting:
	default:
		if o, ok := c.containers.owners[container.ID]; ok {
			container.Status = o.status
		}
	}
	return container
}

// rebuild makes a container's record again from what its ID leads to. It has no
// policies then, so it lets in nobody whom it did not let in before.
func (c *checker) rebuild(name containerName, why string) {
	id, known := c.containers.ids[name]
	if !known {
		c.wrong(nil, "container %s: %s", name.name, why)
		return
	}
	again := mediastore.Container{
		Account: name.account, Name: name.name, Region: c.containers.region,
		ID: id, Status: c.containers.owners[id].status, CreatedAt: c.at,
	}
	c.wrong(fix(name.key(), encodeContainer(&again)), "container %s: %s; made again, it has no policies and no tags", name.name, why)
}

// checkIDs: an ID leads to the container that has it.
func (c *checker) checkIDs() error {
	return c.table(tableIDs, func(key, _ []byte) {
		id := mediastore.ContainerID(key[1:])
		o, ok := c.containers.owners[id]
		name := containerName{o.account, o.name}
		entry, exists := c.containers.entries[name]
		_, found := c.containers.byID[id]
		switch {
		case found, exists && entry == nil && c.containers.ids[name] == id:
			return // right, or told of above
		case ok && !exists:
			c.rebuild(name, "is missing")
		case exists && entry != nil && c.proper(name, *entry).ID == id:
			return // its record has a wrong ID
		default:
			c.checkUnused(id, key)
		}
	})
}

// checkUnused drops an ID that leads nowhere, when nothing is stored under it.
func (c *checker) checkUnused(id mediastore.ContainerID, key []byte) {
	if c.holdsObjects(id) {
		c.wrong(nil, "ID %q: has objects and no container", key)
		return
	}
	c.wrong(fix(key, nil), "ID %q: has no container", key)
}

func (c *checker) holdsObjects(id mediastore.ContainerID) bool {
	for _, prefix := range [][]byte{append([]byte{tableItems}, id...), transientPrefix(id, 0)} {
		if empty, err := isEmpty(c.r, prefix); err != nil || !empty {
			return true
		}
	}
	return false
}
