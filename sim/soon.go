package sim

// soon is the messages filed for the present instant: they are in order already, so
// a ring serves them without the agenda. Most networks without delay live here.
type soon struct {
	ring []event // length is a power of two
	head int
	n    int
}

func (q *soon) first() *event { return &q.ring[q.head] }

func (q *soon) push(ev event) {
	if q.n == len(q.ring) {
		grown := make([]event, max(16, 2*q.n))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = ev
	q.n++
}

func (q *soon) pop() event {
	ev := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return ev
}
