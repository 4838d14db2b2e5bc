package status

// Exit is the exit code of a command. The first seven extend those of the peaq
// CLI; scripts may rely on all of them.
type Exit int

const (
	ExitOK           Exit = 0
	ExitUsage        Exit = 1
	ExitNetwork      Exit = 2
	ExitConfig       Exit = 3
	ExitRejected     Exit = 4
	ExitKeystore     Exit = 5
	ExitRunning      Exit = 6
	ExitNotPermitted Exit = 7
	ExitNotRunning   Exit = 8
	ExitPending      Exit = 9
	ExitIdentity     Exit = 10
	ExitSecret       Exit = 11
	ExitFailed       Exit = 12
	ExitInterrupted  Exit = 130
)

// ExitMeaning is one row of the table of exit codes.
type ExitMeaning struct {
	Exit    Exit
	Meaning string
}

// Exits lists every exit code with its meaning, in ascending order.
func Exits() []ExitMeaning {
	return []ExitMeaning{
		{ExitOK, "done"},
		{ExitUsage, "the command line or an input is not valid"},
		{ExitNetwork, "network or orchestrator error, or a check says no"},
		{ExitConfig, "the configuration is not valid"},
		{ExitRejected, "the orchestrator rejected the API key or the agent, or revoked it"},
		{ExitKeystore, "the store cannot be used, or does not hold what is needed"},
		{ExitRunning, "another process is using the store"},
		{ExitNotPermitted, "this user may not do this"},
		{ExitNotRunning, "no agent is running"},
		{ExitPending, "not finished: run the command again later"},
		{ExitIdentity, "the store, grant or agent belongs to another machine or orchestrator"},
		{ExitSecret, "a required secret is missing, or its file cannot be used"},
		{ExitFailed, "the command failed for another reason"},
		{ExitInterrupted, "interrupted"},
	}
}
