package proxy

import "sync"

// other is the name that names beyond the limit share.
const other = "other"

// The most names of each kind that get a number of their own: names come from
// clients, and memory must not.
const (
	maxTenants = 10_000
	maxClasses = 64
	maxModels  = 1_024
)

// names numbers names in the order of their first use.
type names struct {
	most int

	mu   sync.RWMutex
	ids  map[string]uint32
	list []string
}

func newNames(most int) *names { return &names{most: most, ids: map[string]uint32{}} }

// id is the number of a name; beyond the limit that of "other", which is the limit.
func (n *names) id(name string) uint32 {
	n.mu.RLock()
	id, ok := n.ids[name]
	n.mu.RUnlock()
	if ok {
		return id
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if id, ok := n.ids[name]; ok {
		return id
	}
	if len(n.list) == n.most {
		return uint32(n.most)
	}
	n.ids[name] = uint32(len(n.list))
	n.list = append(n.list, name)
	return uint32(len(n.list) - 1)
}

// name is the name of a number.
func (n *names) name(id uint32) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if int(id) < len(n.list) {
		return n.list[id]
	}
	return other
}
