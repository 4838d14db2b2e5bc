package status

// findings are the meanings of what doctor finds and nothing else reports. A finding has
// no effect of its own on the state: Command is what helps, Exit the exit code of doctor.
var findings = [...]Meaning{
	{
		Code: CodeClockSkew, What: "the device's clock and the orchestrator's differ", Command: "timedatectl status", Exit: ExitFailed,
		Effect: "signatures are refused and certificates may seem to have expired", Advice: "set the clock: timedatectl set-ntp true, or another NTP client; a container has the clock of its host",
	},
	{Code: CodeClockUnsynced, What: "nothing keeps the device's clock right", Command: "timedatectl set-ntp true", Advice: "run timedatectl set-ntp true, or another NTP client; a container has the clock of its host"},
	{
		Code: CodeStoreModes, What: "files of the store are open to other users", Command: "peaqos-agent doctor --fix", Exit: ExitKeystore,
		Effect: "other users of this machine may have read the token", Advice: "run peaqos-agent doctor --fix; if other users log in here, run peaqos-agent rotate afterwards",
	},
	{Code: CodeStoreLeftovers, What: "an interrupted write left files in the store", Command: "peaqos-agent doctor --fix"},
	{
		Code: CodeStoreFull, What: "the disk of the store is full", Command: "df -h", Exit: ExitKeystore,
		Effect: "a new token could not be stored, so none is requested", Advice: "free space on the disk under keystore.dir",
	},
	{Code: CodeStoreNotLooked, What: "the store was not examined", Command: "peaqos-agent doctor"},
	{
		Code: CodeConfigOwner, What: "other users can change whom this machine trusts", Command: "peaqos-agent config show --origin", Exit: ExitConfig,
		Advice: "chmod go-w the file and its directory, and chown them to root",
	},
	{Code: CodeOtherVersion, What: "the running agent is another version than this command", Command: "sudo peaqos-agent service restart"},
	{Code: CodeOldUnit, What: "the systemd unit is of another version", Command: "sudo peaqos-agent service install"},
	{Code: CodeUnitConfig, What: "the service uses another configuration than this command", Command: "peaqos-agent doctor --config FILE"},
	{Code: CodeUnitDropIn, What: "a drop-in changes how the service is started", Command: "systemctl cat peaqos-agent"},
	{
		Code: CodeServiceFailing, What: "the service does not stay up", Command: "sudo journalctl -u peaqos-agent -e", Exit: ExitNotRunning,
		Advice: "see why with sudo journalctl -u peaqos-agent -e",
	},
	{
		Code: CodeBundleSecret, What: "the support bundle contained a secret and was removed", Exit: ExitFailed,
		Advice: "report this: no file of a bundle should have one",
	},
}
