package connect

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ParseBundle returns the certificates of a file of trust. Every byte of the file is
// accounted for: PEM with a byte order mark, CRLF, comments, bag attributes and several
// certificates, private keys next to them (which are ignored), or one or more
// certificates in DER. Anything else is an error that says what it is and where.
func ParseBundle(data []byte) ([]*x509.Certificate, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("is empty")
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return nil, errors.New("is UTF-16 text; save it as UTF-8 or ASCII")
	case data[0] == 0x30 && !bytes.Contains(data, []byte(pemBegin)):
		return parseDER(data)
	}
	return parsePEM(data)
}

const pemBegin, pemEnd = "-----BEGIN ", "-----END "

func parsePEM(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	lines := bytes.SplitAfter(data, []byte("\n"))
	if !bytes.Contains(data, []byte("\n")) {
		lines = bytes.SplitAfter(data, []byte("\r")) // the line ends of old Macs
	}
	for i := 0; i < len(lines); i++ {
		line := string(bytes.TrimSpace(lines[i]))
		switch {
		case strings.HasPrefix(line, pemBegin):
			end := i + 1
			for end < len(lines) && !bytes.HasPrefix(bytes.TrimSpace(lines[end]), []byte(pemEnd)) {
				if bytes.HasPrefix(bytes.TrimSpace(lines[end]), []byte(pemBegin)) {
					break
				}
				end++
			}
			if end == len(lines) || !bytes.HasPrefix(bytes.TrimSpace(lines[end]), []byte(pemEnd)) {
				return nil, fmt.Errorf("line %d begins a block that has no end", i+1)
			}
			cert, err := parseBlock(lines[i : end+1])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			if cert != nil {
				certs = append(certs, cert)
			}
			i = end
		case strings.Contains(line, "-----"):
			return nil, fmt.Errorf("line %d has a PEM marker that begins no block", i+1)
		case isBase64(line):
			return nil, fmt.Errorf("line %d has base64 outside of a block", i+1)
		case strings.ContainsFunc(line, func(r rune) bool { return r < 0x20 && r != '\t' }):
			return nil, fmt.Errorf("line %d has binary data", i+1)
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("contains no certificate")
	}
	return certs, nil
}

// parseBlock reads one PEM block; nil is a private key.
func parseBlock(lines [][]byte) (*x509.Certificate, error) {
	var text bytes.Buffer
	for _, line := range lines {
		text.Write(bytes.TrimSpace(line))
		text.WriteByte('\n')
	}
	block, rest := pem.Decode(text.Bytes())
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("a PEM block that cannot be decoded")
	}
	switch {
	case block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE":
		return parseCertificate(block.Bytes)
	case block.Type == "TRUSTED CERTIFICATE": // of OpenSSL: settings follow the certificate
		var raw asn1.RawValue
		if _, err := asn1.Unmarshal(block.Bytes, &raw); err != nil {
			return nil, errors.New("a TRUSTED CERTIFICATE that cannot be decoded")
		}
		return parseCertificate(raw.FullBytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"), strings.HasSuffix(block.Type, " PARAMETERS"):
		return nil, nil
	}
	return nil, fmt.Errorf("%.60q is not a certificate", block.Type)
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("a certificate that cannot be used: %s", strings.TrimPrefix(err.Error(), "x509: "))
	}
	return cert, nil
}

// parseDER reads certificates that follow each other in binary form.
func parseDER(data []byte) ([]*x509.Certificate, error) {
	certs, err := x509.ParseCertificates(data)
	if err != nil || len(certs) == 0 {
		return nil, errors.New("is binary, but not a certificate in DER (a PKCS#7 or PKCS#12 file must be converted to PEM)")
	}
	return certs, nil
}

// isBase64 reports whether a line can only be part of a block that lost its marker.
func isBase64(line string) bool {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	return len(line) >= 48 && strings.Trim(line, chars) == ""
}

// encode returns certificates as PEM.
func encode(certs []*x509.Certificate) []byte {
	var out []byte
	for _, cert := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return out
}
