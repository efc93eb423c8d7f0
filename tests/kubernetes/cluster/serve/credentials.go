// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// An authority that signs every certificate of one cluster. Made at the start and never kept longer.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Who a component is: the names that the roles of every Kubernetes are bound to.
type identity struct {
	name  string
	group string
}

const nodeName = "node"

var clients = map[string]identity{
	"admin":                   {"admin", "system:masters"},
	"apiserver-to-kubelet":    {"kube-apiserver-kubelet-client", "system:masters"},
	"kube-controller-manager": {"system:kube-controller-manager", ""},
	"kube-scheduler":          {"system:kube-scheduler", ""},
	"kube-proxy":              {"system:kube-proxy", "system:node-proxier"},
	"kubelet":                 {"system:node:" + nodeName, "system:nodes"},
	"coredns":                 {"system:coredns", ""},
	// Plays many nodes at once, which no role of Kubernetes foresees.
	"scripted-kubelet": {"scripted-kubelet", "system:masters"},
}

func (it *cluster) issueAll() error {
	var err error
	if it.ca, err = newAuthority(it.path("pki", "ca.crt")); err != nil {
		return err
	}
	for name, who := range clients {
		if err := it.issue(name, who, x509.ExtKeyUsageClientAuth, nil); err != nil {
			return err
		}
		if err := it.writeKubeconfig(name); err != nil {
			return err
		}
	}
	if err := it.issueServers(); err != nil {
		return err
	}
	return it.handOut("kubeconfig")
}

func (it *cluster) issueServers() error {
	addresses := []net.IP{net.ParseIP("127.0.0.1"), it.firstService()}
	if it.address != "" {
		addresses = append(addresses, net.ParseIP(it.address))
	}
	for _, name := range []string{"serving-apiserver", "serving-kubelet"} {
		if err := it.issue(name, identity{name: name}, x509.ExtKeyUsageServerAuth, addresses); err != nil {
			return err
		}
	}
	// Not a certificate: what tokens of service accounts are signed with.
	_, err := newKey(it.path("pki", "service-accounts.key"))
	return err
}

// firstService is the address of the Service `kubernetes` itself.
func (it *cluster) firstService() net.IP {
	_, network, err := net.ParseCIDR(it.services)
	if err != nil {
		return nil
	}
	first := network.IP.To4()
	first[3]++
	return first
}

func newAuthority(file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "fleetflow-test-cluster"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(signed)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key}, writePem(file, "CERTIFICATE", signed)
}

func (it *cluster) issue(name string, who identity, usage x509.ExtKeyUsage, addresses []net.IP) error {
	key, err := newKey(it.path("pki", name+".key"))
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: who.name},
		NotBefore:    it.ca.certificate.NotBefore,
		NotAfter:     it.ca.certificate.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},
		IPAddresses:  addresses,
		DNSNames:     []string{"localhost", "kubernetes.default", "kubernetes.default.svc"},
	}
	if who.group != "" {
		template.Subject.Organization = []string{who.group}
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, it.ca.certificate, &key.PublicKey, it.ca.key)
	if err != nil {
		return err
	}
	return writePem(it.path("pki", name+".crt"), "CERTIFICATE", signed)
}

func newKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePem(file, "EC PRIVATE KEY", encoded)
}

func writePem(file, kind string, bytes []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600)
}

// writeKubeconfig makes one file of all that a client needs, so that it can be copied away.
func (it *cluster) writeKubeconfig(name string) error {
	read := map[string][]byte{"ca.crt": nil, name + ".crt": nil, name + ".key": nil}
	for file := range read {
		content, err := os.ReadFile(it.path("pki", file))
		if err != nil {
			return err
		}
		read[file] = content
	}
	context := "fleetflow-" + it.kind
	config := api.NewConfig()
	config.Clusters[context] = &api.Cluster{
		Server:                   fmt.Sprintf("https://%s", it.local("kube-apiserver")),
		CertificateAuthorityData: read["ca.crt"],
	}
	config.AuthInfos[name] = &api.AuthInfo{
		ClientCertificateData: read[name+".crt"],
		ClientKeyData:         read[name+".key"],
	}
	config.Contexts[context] = &api.Context{Cluster: context, AuthInfo: name}
	config.CurrentContext = context
	return clientcmd.WriteToFile(*config, it.kubeconfig(name))
}

func (it *cluster) kubeconfig(name string) string {
	return it.path("pki", name+".kubeconfig")
}

// handOut puts the administrator's kubeconfig where whoever started the cluster may read it, though root runs it.
func (it *cluster) handOut(name string) error {
	content, err := os.ReadFile(it.kubeconfig("admin"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(it.path(name), content, 0o640); err != nil {
		return err
	}
	return os.Chown(it.path(name), -1, it.readable)
}
