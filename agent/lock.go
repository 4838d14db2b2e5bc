package agent

import "context"

// lock is a mutex whose waiting can be given up.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

// acquire waits for the lock as long as the context lasts. waitingFor names the
// holder in the error.
func (l lock) acquire(ctx context.Context, waitingFor string) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &stepError{"waiting for " + waitingFor, context.Cause(ctx)}
	}
}

// Lock waits however long it takes.
func (l lock) Lock() { l <- struct{}{} }

// Unlock releases the lock, which must be held.
func (l lock) Unlock() { <-l }
