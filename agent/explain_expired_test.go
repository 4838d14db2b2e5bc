package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestExpiredNamesBothClocks: the time by which a challenge expired may be a gateway's.
func TestExpiredNamesBothClocks(t *testing.T) {
	c := goodChallenge()
	theirs := time.Now().Add(20 * 365 * 24 * time.Hour).UTC().Truncate(time.Second)
	err := c.vet("did:peaq:42", testSigner, theirs)
	p := Explain(fmt.Errorf("signing: %w", err))
	if p.Code != "challenge_refused" || !strings.Contains(p.Error(), theirs.Format(time.RFC3339)) || !strings.Contains(p.Error(), c.ExpiresAt[:10]) {
		t.Errorf("%s: %s", p.Code, p.Error())
	}
	if ours := time.Now().UTC().Format("2006-01-02"); !strings.Contains(p.Next, ours) {
		t.Errorf("the advice does not name our clock: %s", p.Next)
	}
}
