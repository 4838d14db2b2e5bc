// Package services has process tests of presence and the control socket: the built
// agent against the sandbox, killed again and again. go test runs a short form;
// check/services.sh runs the whole one, with 100 kills.
package services
