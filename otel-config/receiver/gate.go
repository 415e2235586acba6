// SPDX-License-Identifier: Apache-2.0

package whodnsreceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Instrumentation scope of everything that whodns sends.
const scopeName = "whodns"

// A gate stands before each pipeline. A pipeline that refuses becomes an error that the agent retries: it keeps the records until they
// are taken. A permanent error is counted and said, for those records are lost.
type gate struct {
	seen    func(isWhodns bool)
	refused metric.Int64Counter
	retried metric.Int64Counter
}

func newGate(set component.TelemetrySettings, seen func(bool)) (*gate, error) {
	meter := set.MeterProvider.Meter("whodnsreceiver")
	refused, err := meter.Int64Counter("whodns_receiver.refused",
		metric.WithDescription("Records, points and spans that a pipeline refused for good: lost."), metric.WithUnit("{item}"))
	if err != nil {
		return nil, err
	}
	retried, err := meter.Int64Counter("whodns_receiver.held_back",
		metric.WithDescription("Records, points and spans that a pipeline did not take now: the agent sends them again."),
		metric.WithUnit("{item}"))
	return &gate{seen, refused, retried}, err
}

func (g *gate) judge(ctx context.Context, items int, err error) error {
	switch {
	case err == nil:
		return nil
	case consumererror.IsPermanent(err):
		g.refused.Add(ctx, int64(items))
		if s, ok := status.FromError(err); ok && !isRetryable(s.Code()) {
			return err
		}
		return status.Error(codes.Internal, err.Error())
	default:
		g.retried.Add(ctx, int64(items))
		// Whatever its own code: ResourceExhausted without a time is no retry by the OTLP specification.
		return status.Error(codes.Unavailable, err.Error())
	}
}

// OTLP specification, "OTLP/gRPC response", failures.
func isRetryable(code codes.Code) bool {
	switch code {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return true
	default:
		return false
	}
}

func (g *gate) logs(next consumer.Logs) consumer.Logs {
	return must(consumer.NewLogs(func(ctx context.Context, data plog.Logs) error {
		isWhodns := false
		for _, resource := range data.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				isWhodns = isWhodns || scope.Scope().Name() == scopeName
			}
		}
		items := data.LogRecordCount()
		g.seen(isWhodns)
		return g.judge(ctx, items, next.ConsumeLogs(ctx, data))
	}, consumer.WithCapabilities(next.Capabilities())))
}

func (g *gate) metrics(next consumer.Metrics) consumer.Metrics {
	return must(consumer.NewMetrics(func(ctx context.Context, data pmetric.Metrics) error {
		isWhodns := false
		for _, resource := range data.ResourceMetrics().All() {
			for _, scope := range resource.ScopeMetrics().All() {
				isWhodns = isWhodns || scope.Scope().Name() == scopeName
			}
		}
		items := data.DataPointCount()
		g.seen(isWhodns)
		return g.judge(ctx, items, next.ConsumeMetrics(ctx, data))
	}, consumer.WithCapabilities(next.Capabilities())))
}

func (g *gate) traces(next consumer.Traces) consumer.Traces {
	return must(consumer.NewTraces(func(ctx context.Context, data ptrace.Traces) error {
		isWhodns := false
		for _, resource := range data.ResourceSpans().All() {
			for _, scope := range resource.ScopeSpans().All() {
				isWhodns = isWhodns || scope.Scope().Name() == scopeName
			}
		}
		items := data.SpanCount()
		g.seen(isWhodns)
		return g.judge(ctx, items, next.ConsumeTraces(ctx, data))
	}, consumer.WithCapabilities(next.Capabilities())))
}

// must: the constructors fail for a nil function only.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
