// kube-testd runs etcd, a kube-apiserver and the namespace, garbage-collector, service-account and
// root-CA controllers in one process on loopback, with all state in one folder.
//
// It prints one JSON line on stdout when the API server is ready, and ends when stdin does: a test that dies
// takes it along. SIGKILL is the way to stop it; the same folder and port serve the same data again.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// Two components in one process both set up logging; without this the second one dies.
func init() { logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged }

const startLimit = 90 * time.Second

func main() {
	dir := flag.String("dir", "", "state folder, kept over restarts")
	users := flag.String("users", "", "users besides admin: NAME[:GROUP],...; each gets NAME.kubeconfig in the folder")
	etcd := flag.String("etcd", "", "socket of another instance's etcd, in place of an own one; the folder then needs that instance's certificates")
	temporary := flag.Bool("temporary", false, "remove the state folder when stdin ends")
	flag.Parse()
	err := run(*dir, *users, *etcd, flag.Args())
	if *temporary {
		_ = os.RemoveAll(*dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube-testd:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(dir, users, etcd string, extra []string) error {
	started := time.Now()
	if dir == "" {
		return errors.New("-dir is required")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// A dying instance would unlink the sockets of the one that follows it in the same folder.
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another instance runs in %s: %w", dir, err)
	}
	port, err := rememberedPort(filepath.Join(dir, "port"))
	if err != nil {
		return err
	}
	server := "https://127.0.0.1:" + port
	if err := mintOnce(dir, server, users); err != nil {
		return err
	}
	socket := etcd
	if socket == "" {
		socket = filepath.Join(dir, "etcd.sock")
		if err := startEtcd(dir, socket); err != nil {
			return err
		}
	}
	ended := make(chan error, 2)
	go func() { ended <- serveAPI(dir, socket, port, extra) }()
	if err := awaitReady(dir, server, ended); err != nil {
		return err
	}
	if etcd == "" {
		go func() { ended <- runControllers(dir) }()
	}
	line, err := json.Marshal(map[string]any{"ready": true, "server": server, "ms": time.Since(started).Milliseconds()})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended <- nil
	}()
	return <-ended
}

// The port is picked once, so that clients find a restarted server where it was.
func rememberedPort(path string) (string, error) {
	if known, err := os.ReadFile(path); err == nil {
		return string(known), nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	return port, os.WriteFile(path, []byte(port), 0o600)
}

func startEtcd(dir, socket string) error {
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}
	config.ListenPeerUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(dir, "peer.sock")}}
	// Advertised URLs may not be sockets; nobody dials these.
	config.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.111:0"}}
	config.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.111:1"}}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case err := <-etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-time.After(startLimit):
		return errors.New("etcd was not ready in time")
	}
}

func serveAPI(dir, socket, port string, extra []string) error {
	file := func(name string) string { return filepath.Join(dir, name) }
	command := apiserver.NewAPIServerCommand()
	command.SetArgs(append([]string{
		"--etcd-servers=unix://" + socket,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + port,
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + file("serving.crt"),
		"--tls-private-key-file=" + file("serving.key"),
		"--token-auth-file=" + file("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + file("accounts.key"),
		"--service-account-signing-key-file=" + file("accounts.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount",
		"--shutdown-delay-duration=0s",
	}, extra...))
	if code := cli.Run(command); code != 0 {
		return fmt.Errorf("kube-apiserver ended with code %d", code)
	}
	return errors.New("kube-apiserver ended")
}

// Without these a deleted namespace stays Terminating for ever.
func runControllers(dir string) error {
	admin := filepath.Join(dir, "admin.kubeconfig")
	command := controllers.NewControllerManagerCommand()
	command.SetArgs([]string{
		"--controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller,root-ca-certificate-publisher-controller",
		"--leader-elect=false",
		"--secure-port=0",
		"--kubeconfig=" + admin,
		"--authentication-kubeconfig=" + admin,
		"--authorization-kubeconfig=" + admin,
		"--service-account-private-key-file=" + filepath.Join(dir, "accounts.key"),
		"--root-ca-file=" + filepath.Join(dir, "ca.crt"),
	})
	if code := cli.Run(command); code != 0 {
		return fmt.Errorf("kube-controller-manager ended with code %d", code)
	}
	return errors.New("kube-controller-manager ended")
}

func awaitReady(dir, server string, ended <-chan error) error {
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	token, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	if err != nil {
		return err
	}
	client := http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	}
	request, err := http.NewRequest(http.MethodGet, server+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	for limit := time.Now().Add(startLimit); time.Now().Before(limit); {
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("kube-apiserver was not ready in time")
}
