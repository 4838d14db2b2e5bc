package sandbox_test

// as makes a call with a pairing's token.
func (r *room) as(p paired, method, path string, body any) reply {
	r.t.Helper()
	return r.call(method, path, body, tokenHeader, p.token)
}
