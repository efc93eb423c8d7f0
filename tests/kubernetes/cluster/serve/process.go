// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	restartAfter = 300 * time.Millisecond
	startWithin  = 2 * time.Minute
)

// start runs a program until the cluster ends: one that ends before is started again, as a node's init would do it,
// but not while `held/NAME` exists. So a test kills a component for a moment or for as long as it wants.
func (it *cluster) start(ctx context.Context, name, program string, arguments ...string) error {
	log, err := os.OpenFile(it.path("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	process, err := begin(log, program, arguments)
	if err != nil {
		return fmt.Errorf("%s does not start: %w", name, err)
	}
	go it.keep(ctx, name, log, process, func() (*exec.Cmd, error) { return begin(log, program, arguments) })
	return nil
}

func (it *cluster) component(ctx context.Context, name string, flags ...string) error {
	return it.start(ctx, name, it.program, append([]string{name}, flags...)...)
}

func begin(log io.Writer, program string, arguments []string) (*exec.Cmd, error) {
	process := exec.Command(program, arguments...)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return process, process.Start()
}

func (it *cluster) keep(ctx context.Context, name string, log io.Writer, process *exec.Cmd, again func() (*exec.Cmd, error)) {
	for {
		ended := process.Wait()
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(log, "cluster: %s ended: %v\n", name, ended)
		for wait := true; wait; wait = it.isHeld(name) {
			time.Sleep(restartAfter)
		}
		var err error
		if process, err = again(); err != nil {
			fmt.Fprintf(os.Stderr, "cluster: %s does not start again: %v\n", name, err)
			return
		}
	}
}

func (it *cluster) isHeld(name string) bool {
	_, err := os.Stat(it.path("held", name))
	return err == nil
}

// until waits for something that a component brings. Its log says why it did not.
func (it *cluster) until(ctx context.Context, name, what string, happened func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := happened()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s within %s: %v; see %s", what, startWithin, err, it.path("logs", name+".log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freePorts picks below the range from which the kernel takes ports for outgoing connections, and below that of node
// ports, so that they are still free when a component that was killed comes back.
func freePorts(names []string) (map[string]int, error) {
	ports := map[string]int{}
	next := 20000 + os.Getpid()%50*100 + time.Now().Nanosecond()/1000%50*100
	for _, name := range names {
		for ports[name] == 0 {
			if next++; next > 29900 {
				return nil, errors.New("no free port below 29900")
			}
			if isFree(next) {
				ports[name] = next
			}
		}
	}
	return ports, nil
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// forward carries connections to *from* on to *to*. Pods reach the control plane so, which itself listens on loopback.
func forward(ctx context.Context, from, to string) error {
	listener, err := net.Listen("tcp", from)
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		listener.Close()
	}()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go carry(connection, to)
		}
	}()
	return nil
}

func carry(inner net.Conn, to string) {
	defer inner.Close()
	outer, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer outer.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{inner, outer}, {outer, inner}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}
