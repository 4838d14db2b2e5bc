package sandbox_test

// prepare is the body by which a seller hands a purchase over.
func (c crew) prepare() object {
	return object{
		"machineId": c.machine, "agentId": c.id, "agentToken": c.token, "items": []object{accessTo("c1")},
		"delivery": object{"mode": "p2p", "transportId": "peaqos-p2p", "channelId": "ch", "connect": connectUntil("2999-01-01T00:00:00.000Z")},
	}
}

func connectUntil(expiresAt string) object {
	return object{"type": "peaqos-p2p-url", "url": "peaqos-p2p://198.51.100.7:9000?ticket=SECRET", "expiresAt": expiresAt}
}

func accessTo(chunk string) object {
	return object{"schemaVersion": "peaq.stream.buyer-access.v1", "chunkId": chunk, "buyer": object{
		"recipientId": "b1", "recipientType": "buyer", "algorithm": "x25519-sealedbox", "publicKeyHex": "aa", "wrappedKeyHex": "ee",
	}}
}
