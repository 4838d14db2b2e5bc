package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// maxToken limits a pairing token; one issued here has about 700 bytes.
const maxToken = 4096

// tokenHeader is the header of every pairing token: a JWT that is signed with HS256 and
// nothing else. The sandbox reads only its own tokens.
const tokenHeader = `{"alg":"HS256","typ":"JWT"}`

// sessionClaims are the claims of a pairing token (contract §1.3).
type sessionClaims struct {
	MachineID            string `json:"machineId"`
	PairingID            string `json:"pairingId"`
	SessionID            string `json:"sessionId"`
	AgentAddress         string `json:"agentAddress"`
	AgentDID             string `json:"agentDid"`
	DelegationPolicyHash string `json:"delegationPolicyHash"`
	ExpiresAt            int64  `json:"exp"` // Unix seconds
	IssuedAt             int64  `json:"iat"` // Unix seconds
	ID                   string `json:"jti"`
}

// signToken writes claims as a pairing token.
func signToken(claims sessionClaims, key []byte) (string, error) {
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(tokenHeader)) + "." + base64.RawURLEncoding.EncodeToString(body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(tokenMAC(signed, key)), nil
}

func tokenMAC(signed string, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// readToken checks a token's format and signature. The caller checks its expiry.
func readToken(token string, key []byte) (*sessionClaims, error) {
	if len(token) > maxToken {
		return nil, errors.New("the token is too long")
	}
	end := strings.LastIndexByte(token, '.')
	header, body, ok := strings.Cut(token[:max(end, 0)], ".")
	if end < 0 || !ok {
		return nil, errors.New("the token does not have three parts")
	}
	encoding := base64.RawURLEncoding.Strict()
	mac, err := encoding.DecodeString(token[end+1:])
	if err != nil || !hmac.Equal(mac, tokenMAC(token[:end], key)) {
		return nil, errors.New("the token's signature is not valid")
	}
	if raw, err := encoding.DecodeString(header); err != nil || string(raw) != tokenHeader {
		return nil, errors.New("the token has another header")
	}
	raw, err := encoding.DecodeString(body)
	if err != nil {
		return nil, err
	}
	var claims sessionClaims
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&claims); err != nil {
		return nil, err
	}
	if claims.ExpiresAt == 0 {
		return nil, errors.New("the token has no expiry")
	}
	return &claims, nil
}
