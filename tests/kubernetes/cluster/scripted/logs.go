// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// What is needed to answer the apiserver, and nobody else.
type keys struct{ authority, certificate, key string }

type line struct {
	at   time.Time
	text string
}

const followEvery = 100 * time.Millisecond

func (it *container) say(format string, values ...any) {
	it.log = append(it.log, line{time.Now().UTC(), fmt.Sprintf(format, values...)})
}

func (it *kubelet) serveLogs(ctx context.Context, serving keys) error {
	authority, err := os.ReadFile(serving.authority)
	if err != nil {
		return err
	}
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(authority)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", it.port))
	if err != nil {
		return err
	}
	paths := http.NewServeMux()
	paths.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", it.answer)
	server := &http.Server{
		Handler:   paths,
		TLSConfig: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known, MinVersion: tls.VersionTLS12},
	}
	go func() {
		if err := server.ServeTLS(listener, serving.certificate, serving.key); ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "scripted-kubelet: no logs any more: %v\n", err)
			os.Exit(1)
		}
	}()
	return nil
}

func (it *kubelet) answer(response http.ResponseWriter, request *http.Request) {
	found := it.container(request.PathValue("namespace"), request.PathValue("pod"), request.PathValue("container"))
	if found == nil {
		http.Error(response, "there is no such container", http.StatusNotFound)
		return
	}
	query := request.URL.Query()
	previous := query.Get("previous") == "true"
	if why := found.hasNoLog(previous); why != "" {
		http.Error(response, why, http.StatusBadRequest)
		return
	}
	response.Header().Set("Content-Type", "text/plain")
	lines, _ := found.lines(previous)
	lines = wanted(lines, query)
	seen := len(lines)
	if seen > 0 || !previous {
		show(response, lines, query)
	}
	if query.Get("follow") == "true" && !previous {
		found.follow(response, request, query)
	}
}

func (it *kubelet) container(namespace, pod, name string) *container {
	it.lock.Lock()
	defer it.lock.Unlock()
	for _, player := range it.players {
		if player.pod.Namespace != namespace || player.pod.Name != pod {
			continue
		}
		for _, each := range player.all() {
			if each.spec.Name == name {
				return each
			}
		}
	}
	return nil
}

// hasNoLog says why, in the kubelet's words, or nothing.
func (it *container) hasNoLog(previous bool) string {
	it.player.lock.Lock()
	defer it.player.lock.Unlock()
	who := fmt.Sprintf("container %q in pod %q", it.spec.Name, it.player.pod.Name)
	switch {
	case previous && it.last.Terminated == nil:
		return "previous terminated " + who + " not found"
	case previous || it.state.Waiting == nil || it.last.Terminated != nil:
		return ""
	case it.state.Waiting.Reason == "ErrImagePull":
		return who + " is waiting to start: image can't be pulled"
	case it.state.Waiting.Reason == "ImagePullBackOff":
		return who + " is waiting to start: trying and failing to pull image"
	default:
		return who + " is waiting to start: " + it.state.Waiting.Reason
	}
}

// lines are those so far, and whether there will be more of this start of the container.
func (it *container) lines(previous bool) ([]line, bool) {
	it.player.lock.Lock()
	defer it.player.lock.Unlock()
	// The log of what ended last is the current one, until the container starts again.
	if previous && it.state.Running != nil {
		return it.previous, false
	}
	return append([]line{}, it.log...), it.state.Running != nil
}

func wanted(lines []line, query url.Values) []line {
	if seconds, err := strconv.Atoi(query.Get("sinceSeconds")); err == nil {
		lines = since(lines, time.Now().Add(-time.Duration(seconds)*time.Second))
	}
	if at, err := time.Parse(time.RFC3339, query.Get("sinceTime")); err == nil {
		lines = since(lines, at)
	}
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	return lines
}

func since(lines []line, at time.Time) []line {
	for i := range lines {
		if !lines[i].at.Before(at) {
			return lines[i:]
		}
	}
	return nil
}

func show(response http.ResponseWriter, lines []line, query url.Values) {
	for _, each := range lines {
		if query.Get("timestamps") == "true" {
			fmt.Fprintf(response, "%s ", each.at.Format(time.RFC3339Nano))
		}
		fmt.Fprintln(response, each.text)
	}
	if flusher, can := response.(http.Flusher); can {
		flusher.Flush()
	}
}

// follow ends with this start of the container, as a real one does.
func (it *container) follow(response http.ResponseWriter, request *http.Request, query url.Values) {
	lines, more := it.lines(false)
	shown := len(lines)
	for more && pause(request.Context(), followEvery) {
		if lines, more = it.lines(false); len(lines) > shown {
			show(response, lines[shown:], query)
			shown = len(lines)
		}
	}
}
