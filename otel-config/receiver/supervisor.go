// SPDX-License-Identifier: Apache-2.0

package whodnsreceiver

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// Exit code of whodns for a wrong flag or value: the next start ends the same way.
const exitUsage = 2

// A message of the agent is at most so long; the rest of the line is left out.
const maxMessage = 64 * 1024

// A supervisor starts the agent, again when it has ended, and ends it.
type supervisor struct {
	cfg    *Config
	log    *zap.Logger
	report func(*componentstatus.Event)
	stop   chan struct{}
	done   chan struct{}
}

func newSupervisor(cfg *Config, log *zap.Logger, report func(*componentstatus.Event)) *supervisor {
	return &supervisor{cfg, log, report, make(chan struct{}), make(chan struct{})}
}

func (s *supervisor) start() { go s.run() }

// shutdown returns when the agent has ended.
func (s *supervisor) shutdown() {
	close(s.stop)
	<-s.done
}

func (s *supervisor) run() {
	defer close(s.done)
	// The kernel sends the parent-death signal when the thread ends that has made the child: this one lives as long as it
	// (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff := s.cfg.Agent.InitialBackoff
	for {
		ready, err := s.once()
		select {
		case <-s.stop:
			return
		default:
		}
		if isFinal(err) {
			s.giveUp(err)
			return
		}
		if ready {
			backoff = s.cfg.Agent.InitialBackoff
		}
		s.report(componentstatus.NewRecoverableErrorEvent(fmt.Errorf("the agent has ended: %w", err)))
		// Half of it by chance, so that the hosts of a fleet do not start at once.
		wait := backoff/2 + rand.N(backoff/2+1)
		s.log.Info("the agent is started again", zap.Duration("in", wait))
		select {
		case <-s.stop:
			return
		case <-time.After(wait):
		}
		backoff = min(backoff*2, s.cfg.Agent.MaxBackoff)
	}
}

func (s *supervisor) giveUp(err error) {
	err = fmt.Errorf("the agent cannot run: %w", err)
	if s.cfg.ErrorMode == ErrorModePropagate {
		s.report(componentstatus.NewFatalErrorEvent(err))
	} else {
		s.report(componentstatus.NewPermanentErrorEvent(err))
	}
}

// A program that is not there or may not be run, or settings that it refuses.
func isFinal(err error) bool {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode() == exitUsage
	}
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
}

// once runs the agent to its end. ready: it has captured.
func (s *supervisor) once() (ready bool, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer reader.Close()
	command := s.cfg.Agent.Command
	// Nothing of it is a shell's. Descriptor 3 is the first of ExtraFiles.
	args := append(append([]string{}, command[1:]...), "--ready-fd", "3", "--log-format", "json")
	cmd := exec.Command(command[0], args...)
	cmd.Env = s.environment(os.Environ())
	cmd.ExtraFiles = []*os.File{writer}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return false, errors.Join(err, writer.Close())
	}
	err = cmd.Start()
	_ = writer.Close()
	if err != nil {
		return false, err
	}
	s.log.Info("the agent was started", zap.Int("pid", cmd.Process.Pid))
	readyLine := make(chan bool, 1)
	var readers sync.WaitGroup
	readers.Add(2)
	go func() {
		defer readers.Done()
		line, _ := bufio.NewReader(io.LimitReader(reader, 64)).ReadString('\n')
		readyLine <- line == "READY=1\n"
	}()
	go func() {
		defer readers.Done()
		s.forward(stderr)
	}()
	ended := make(chan struct{})
	watched := make(chan bool, 1)
	go func() { watched <- s.watch(cmd.Process, readyLine, ended) }()
	// Its messages end with it: wait() would close the pipe before they are read.
	readers.Wait()
	err = cmd.Wait()
	close(ended)
	if ready = <-watched; err == nil {
		err = errors.New("exit status 0")
	}
	return ready, err
}

// watch ends the agent when it is to stop, or does not get ready in time.
func (s *supervisor) watch(process *os.Process, readyLine <-chan bool, ended <-chan struct{}) (ready bool) {
	timeout := time.NewTimer(s.cfg.Agent.StartTimeout)
	defer timeout.Stop()
	late := timeout.C
	for {
		select {
		case <-ended:
			return ready
		case ready = <-readyLine:
			readyLine = nil
			if ready {
				late = nil
				s.log.Info("the agent captures")
				s.report(componentstatus.NewEvent(componentstatus.StatusOK))
			}
		case <-late:
			s.log.Warn("the agent does not capture in time", zap.Duration("start_timeout", s.cfg.Agent.StartTimeout))
			s.end(process, ended)
			return ready
		case <-s.stop:
			s.end(process, ended)
			return ready
		}
	}
}

// SIGTERM: the agent delivers what is in flight. SIGKILL when it takes too long.
func (s *supervisor) end(process *os.Process, ended <-chan struct{}) {
	_ = process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(s.cfg.Agent.StopTimeout):
		s.log.Warn("the agent does not end and is killed", zap.Duration("stop_timeout", s.cfg.Agent.StopTimeout))
		_ = process.Kill()
	}
}

// environment of the agent: the Collector's settings are not its settings.
func (s *supervisor) environment(own []string) []string {
	var kept []string
	for _, variable := range own {
		name, _, _ := strings.Cut(variable, "=")
		isOther := strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "WHODNS_") ||
			strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_") || name == "NOTIFY_SOCKET"
		if _, isGiven := s.cfg.Agent.Environment[name]; !isOther && !isGiven {
			kept = append(kept, variable)
		}
	}
	kept = append(kept, "OTEL_EXPORTER_OTLP_ENDPOINT=unix:"+s.cfg.Endpoint)
	for name, value := range s.cfg.Agent.Environment {
		kept = append(kept, name+"="+value)
	}
	return kept
}

// forward makes the agent's messages the receiver's: JSON lines by their level, whatever else there is as a warning.
func (s *supervisor) forward(from io.Reader) {
	lines := bufio.NewReaderSize(from, maxMessage)
	for {
		line, isPrefix, err := lines.ReadLine()
		if len(line) > 0 {
			s.say(line)
		}
		for isPrefix && err == nil {
			_, isPrefix, err = lines.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

func (s *supervisor) say(line []byte) {
	var message struct{ Level, Message string }
	if json.Unmarshal(line, &message) != nil || message.Message == "" {
		s.log.Warn(string(line))
		return
	}
	switch message.Level {
	case "error":
		s.log.Error(message.Message)
	case "warn":
		s.log.Warn(message.Message)
	case "debug":
		s.log.Debug(message.Message)
	default:
		s.log.Info(message.Message)
	}
}
