// Command differential compares the decoders of this client with those of the published Python
// SDK: it changes recorded responses at random, passes each to both, and compares whether they
// accept it, and with which code they refuse it. Where they may differ, and why, is in agree.
//
//	make fuzz-differential            one minute
//	make fuzz-differential MINUTES=30
//
// It prints the seed, so that a run can be repeated, and every difference with the body that
// caused it. It ends with 1 if there is one.
package main
