package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mintOnce writes the CA, the serving certificate, the service-account key, and a token and a kubeconfig for
// each user, unless the folder has them from an earlier start.
func mintOnce(dir, server, users string) error {
	if _, err := os.Stat(filepath.Join(dir, "minted")); err == nil {
		return nil
	}
	ca, err := mintCertificates(dir)
	if err != nil {
		return err
	}
	if err := writeKey(filepath.Join(dir, "accounts.key")); err != nil {
		return err
	}
	var tokens strings.Builder
	for _, user := range append([]string{"admin:system:masters"}, strings.FieldsFunc(users, func(r rune) bool { return r == ',' })...) {
		name, group, _ := strings.Cut(user, ":")
		secret := make([]byte, 16)
		if _, err := rand.Read(secret); err != nil {
			return err
		}
		token := hex.EncodeToString(secret)
		fmt.Fprintf(&tokens, "%s,%s,%s", token, name, name)
		if group != "" {
			fmt.Fprintf(&tokens, ",%q", group)
		}
		tokens.WriteString("\n")
		if err := os.WriteFile(filepath.Join(dir, name+".token"), []byte(token), 0o600); err != nil {
			return err
		}
		config := fmt.Sprintf(kubeconfig, server, filepath.Join(dir, "ca.crt"), name, token, name)
		if err := os.WriteFile(filepath.Join(dir, name+".kubeconfig"), []byte(config), 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(tokens.String()), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "minted"), nil, 0o600)
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: kube-testd
  cluster:
    server: %s
    certificate-authority: %s
users:
- name: %s
  user:
    token: %s
contexts:
- name: kube-testd
  context:
    cluster: kube-testd
    user: %s
current-context: kube-testd
`

func mintCertificates(dir string) ([]byte, error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kube-testd"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serving := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost", "kubernetes.default.svc"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	servingDER, err := x509.CreateCertificate(rand.Reader, serving, authority, key.Public(), authorityKey)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "serving.crt"), encode("CERTIFICATE", servingDER), 0o600); err != nil {
		return nil, err
	}
	if err := storeKey(filepath.Join(dir, "serving.key"), key); err != nil {
		return nil, err
	}
	return encode("CERTIFICATE", authorityDER), nil
}

func writeKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return storeKey(path, key)
}

func storeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, encode("EC PRIVATE KEY", der), 0o600)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
