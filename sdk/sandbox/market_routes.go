package sandbox

// marketRoutes are pairings and the market: contract §2.6, §2.11 to §2.16, §2.20
// and what §3.1 knows of them.
func (s *Server) marketRoutes() []route {
	return []route{}
}
