package sdk

// Version is the version of this module. It is the only place where the version is
// written: the client's User-Agent, the command and its metrics read it from here.
const Version = "0.2.0"
