// SPDX-License-Identifier: Apache-2.0

// Package whodnsreceiver receives what whodns sends: the stock OTLP receiver on a Unix socket that it owns, and on request the agent
// itself as a child process.
package whodnsreceiver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Mode says who starts the agent.
type Mode string

const (
	// ModeAttach (default): systemd, a DaemonSet or a person does.
	ModeAttach Mode = "attach"
	// ModeSupervise: this receiver does.
	ModeSupervise Mode = "supervise"
)

// ErrorMode says what an agent that can never run means for the Collector.
type ErrorMode string

const (
	// ErrorModePropagate (default): the Collector ends with the error.
	ErrorModePropagate ErrorMode = "propagate"
	// ErrorModeIgnore: the component's status is a permanent error, the other pipelines go on.
	ErrorModeIgnore ErrorMode = "ignore"
)

// Config of the receiver.
type Config struct {
	Mode      Mode      `mapstructure:"mode"`
	ErrorMode ErrorMode `mapstructure:"error_mode"`
	// Endpoint is the absolute path of the Unix socket.
	Endpoint string `mapstructure:"endpoint"`
	// SocketMode are its permissions, octal: who may send.
	SocketMode string `mapstructure:"socket_mode"`
	// Silence is the time without data after which the status is a recoverable error. An agent sends metrics once a minute.
	Silence time.Duration `mapstructure:"silence"`
	Agent   AgentConfig   `mapstructure:"agent"`
}

// AgentConfig is for ModeSupervise.
type AgentConfig struct {
	// Command is the program and its arguments; `run` flags as on a command line.
	Command []string `mapstructure:"command"`
	// Environment of the agent. Of the Collector's own it gets all but OTEL_*, WHODNS_* and what a service manager told it.
	Environment map[string]string `mapstructure:"environment"`
	// StartTimeout is the time until the agent has to say that it captures.
	StartTimeout time.Duration `mapstructure:"start_timeout"`
	// StopTimeout is the time it has to deliver what is in flight.
	StopTimeout time.Duration `mapstructure:"stop_timeout"`
	// InitialBackoff and MaxBackoff are the times before it is started again, doubled at each failure.
	InitialBackoff time.Duration `mapstructure:"initial_backoff"`
	MaxBackoff     time.Duration `mapstructure:"max_backoff"`
}

// Linux: sizeof(sun_path) with its zero byte.
const maxSocketPath = 107

func defaultConfig() *Config {
	return &Config{
		Mode:       ModeAttach,
		ErrorMode:  ErrorModePropagate,
		Endpoint:   "/run/whodns/otlp.sock",
		SocketMode: "0660",
		Silence:    3 * time.Minute,
		Agent: AgentConfig{
			Command:        []string{"whodns", "run"},
			StartTimeout:   2 * time.Minute,
			StopTimeout:    10 * time.Second,
			InitialBackoff: time.Second,
			MaxBackoff:     time.Minute,
		},
	}
}

// Validate says everything that is wrong at once.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Mode != ModeAttach && c.Mode != ModeSupervise {
		problem("mode: %q is neither %s nor %s", c.Mode, ModeAttach, ModeSupervise)
	}
	if c.ErrorMode != ErrorModePropagate && c.ErrorMode != ErrorModeIgnore {
		problem("error_mode: %q is neither %s nor %s", c.ErrorMode, ErrorModePropagate, ErrorModeIgnore)
	}
	if !filepath.IsAbs(c.Endpoint) || len(c.Endpoint) > maxSocketPath {
		problem("endpoint: %q is no absolute path of at most %d bytes", c.Endpoint, maxSocketPath)
	}
	if _, err := c.socketMode(); err != nil {
		problem("socket_mode: %q is no octal mode from 0 to 0777", c.SocketMode)
	}
	if c.Silence < time.Second {
		problem("silence: %s is less than a second", c.Silence)
	}
	if c.Mode == ModeSupervise {
		problems = append(problems, c.Agent.validate()...)
	}
	return errors.Join(problems...)
}

func (a *AgentConfig) validate() []error {
	var problems []error
	if len(a.Command) == 0 || a.Command[0] == "" {
		problems = append(problems, errors.New("agent.command: no program"))
	}
	for name := range a.Environment {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			problems = append(problems, fmt.Errorf("agent.environment: %q is no name of a variable", name))
		}
	}
	times := map[string]time.Duration{
		"start_timeout": a.StartTimeout, "stop_timeout": a.StopTimeout,
		"initial_backoff": a.InitialBackoff, "max_backoff": a.MaxBackoff,
	}
	for name, value := range times {
		if value <= 0 {
			problems = append(problems, fmt.Errorf("agent.%s: %s is not positive", name, value))
		}
	}
	return problems
}

func (c *Config) socketMode() (os.FileMode, error) {
	mode, err := strconv.ParseUint(c.SocketMode, 8, 32)
	if err == nil && mode > 0o777 {
		err = strconv.ErrRange
	}
	return os.FileMode(mode), err
}
