// SPDX-License-Identifier: Apache-2.0
// The seam to JavaScript: converts and registers, nothing else. The only file that knows Node-API. Expected failures
// are returned as {error: {op, subject, errno, code, hint, detail}}; src/capture/kernel.ts makes typed errors of them.
#include "capture.h"
#include "object_digest.h" // made by the Makefile
#include "notify.h"
#include "privileges.h"
#include "seccomp.h"
#include "trial.h"
#include "watchdog.h"
#include "wakeup.h"

#include <cstring>
#include <malloc.h>
#include <napi.h>
#include <optional>
#include <string>
#include <uv.h>

namespace whodns
{
namespace
{

// libuv's name of it, which JavaScript knows as well; its number where there is none.
std::string name_of(int code)
{
	if (code == 0)
		return "";
	if (code == 524)
		return "ENOTSUPP"; // the kernel's own (include/linux/errno.h), yet bpf(2) returns it
	char name[64];
	uv_err_name_r(-code, name, sizeof name);
	return name[0] == 'E' ? name : std::to_string(code);
}

Napi::Object to_js(Napi::Env env, const Error &error)
{
	Napi::Object fields = Napi::Object::New(env);
	fields["op"] = error.op;
	fields["subject"] = error.subject;
	fields["errno"] = error.code;
	fields["code"] = name_of(error.code);
	fields["hint"] = error.hint;
	fields["detail"] = error.detail;
	Napi::Object result = Napi::Object::New(env);
	result["error"] = fields;
	return result;
}

Napi::Value to_js(Napi::Env env, Status status)
{
	return status ? Napi::Object::New(env) : to_js(env, status.error());
}

Napi::Uint8Array copy_to_js(Napi::Env env, const std::vector<std::byte> &bytes)
{
	Napi::Uint8Array copy = Napi::Uint8Array::New(env, bytes.size());
	if (!bytes.empty())
		memcpy(copy.Data(), bytes.data(), bytes.size());
	return copy;
}

std::span<const std::byte> bytes(const Napi::Value &value)
{
	auto array = value.As<Napi::Uint8Array>();
	return {reinterpret_cast<const std::byte *>(array.Data()), array.ByteLength()};
}

std::vector<uint64_t> integers(const Napi::Array &numbers)
{
	std::vector<uint64_t> values;
	for (uint32_t i = 0; i < numbers.Length(); i++)
		values.push_back(static_cast<uint64_t>(numbers.Get(i).ToNumber().Int64Value()));
	return values;
}

// {object: Uint8Array, btf?: Uint8Array, family, besides: string[], ringBytes, knobs: {name: number[]}}; the types are checked by the TypeScript declaration.
CaptureOptions capture_options(const Napi::Object &given)
{
	CaptureOptions options;
	const auto object = bytes(given.Get("object"));
	options.object.assign(object.begin(), object.end());
	if (const auto btf = given.Get("btf"); btf.IsTypedArray()) {
		const auto file = bytes(btf);
		options.btf.assign(file.begin(), file.end());
	}
	options.family = given.Get("family").ToString().Utf8Value();
	auto besides = given.Get("besides").As<Napi::Array>();
	for (uint32_t i = 0; i < besides.Length(); i++)
		options.besides.push_back(besides.Get(i).ToString().Utf8Value());
	options.ring_bytes = given.Get("ringBytes").ToNumber().Uint32Value();
	Napi::Object knobs = given.Get("knobs").ToObject();
	Napi::Array names = knobs.GetPropertyNames();
	for (uint32_t i = 0; i < names.Length(); i++) {
		std::string name = names.Get(i).ToString().Utf8Value();
		options.knobs.push_back(Knob{name, integers(knobs.Get(name).As<Napi::Array>())});
	}
	return options;
}

class CaptureObject : public Napi::ObjectWrap<CaptureObject>
{
      public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Capture",
				   {
				       InstanceMethod("attach", &CaptureObject::attach),
				       InstanceMethod("watch", &CaptureObject::watch),
				       InstanceMethod("wait", &CaptureObject::wait),
				       InstanceMethod("drain", &CaptureObject::drain),
				       InstanceMethod("detach", &CaptureObject::detach),
				       InstanceMethod("close", &CaptureObject::close),
				       InstanceMethod("sums", &CaptureObject::sums),
				       InstanceMethod("entries", &CaptureObject::entries),
				       InstanceMethod("update", &CaptureObject::update),
				       InstanceMethod("remove", &CaptureObject::remove),
				       InstanceMethod("ringUsed", &CaptureObject::ring_used),
				       InstanceMethod("recursionMisses", &CaptureObject::recursion_misses),
				   });
	}

	explicit CaptureObject(const Napi::CallbackInfo &info)
	    : Napi::ObjectWrap<CaptureObject>(info), capture_(info[0].As<Napi::External<Capture>>().Data())
	{
	}

	~CaptureObject() override { end(); }

      private:
	Napi::Value attach(const Napi::CallbackInfo &info)
	{
		return capture_ ? to_js(info.Env(), capture_->attach()) : closed(info.Env());
	}

	// watch(onWake: (waitedMs: number) => void)
	Napi::Value watch(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		if (!capture_)
			return closed(env);
		if (wakeup_)
			return to_js(env, Error{"start", "", EALREADY, "", ""});
		auto wakeup = Wakeup::watch(env, capture_->ring_fd(), info[0].As<Napi::Function>(),
					    [this] { return capture_->has_records(); }); // stopped before capture_ goes
		if (!wakeup)
			return to_js(env, wakeup.error());
		wakeup_ = std::move(wakeup.value());
		return Napi::Object::New(env);
	}

	// wait(ms: number, maxMs: number)
	void wait(const Napi::CallbackInfo &info)
	{
		if (wakeup_)
			wakeup_->wait(info[0].ToNumber().Uint32Value(), info[1].ToNumber().Uint32Value());
	}

	// drain(buffer: Uint8Array, enough: number) -> bytes written; 0 when closed
	Napi::Value drain(const Napi::CallbackInfo &info)
	{
		size_t written = 0;
		if (capture_) {
			auto buffer = info[0].As<Napi::Uint8Array>();
			written = capture_->drain({reinterpret_cast<std::byte *>(buffer.Data()), buffer.ByteLength()},
						  info[1].As<Napi::Number>().Uint32Value());
		}
		return Napi::Number::New(info.Env(), static_cast<double>(written));
	}

	void detach(const Napi::CallbackInfo &)
	{
		if (capture_)
			capture_->detach();
	}

	void close(const Napi::CallbackInfo &) { end(); }

	void end()
	{
		if (auto wakeup = std::exchange(wakeup_, nullptr))
			wakeup->stop();
		capture_.reset();
	}

	Napi::Value sums(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		if (!capture_)
			return closed(env);
		auto sums = capture_->sums(info[0].ToString().Utf8Value().c_str());
		if (!sums)
			return to_js(env, sums.error());
		Napi::Array values = Napi::Array::New(env, sums.value().size());
		for (uint32_t i = 0; i < sums.value().size(); i++)
			values[i] = static_cast<double>(sums.value()[i]);
		return with(env, "values", values);
	}

	// entries(map)
	Napi::Value entries(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		if (!capture_)
			return closed(env);
		auto entries = capture_->entries(info[0].ToString().Utf8Value().c_str());
		return entries ? with(env, "bytes", copy_to_js(env, entries.value())) : to_js(env, entries.error());
	}

	// update(map, key, value)
	Napi::Value update(const Napi::CallbackInfo &info)
	{
		if (!capture_)
			return closed(info.Env());
		std::string map = info[0].ToString().Utf8Value();
		return to_js(info.Env(), capture_->update(map.c_str(), bytes(info[1]), bytes(info[2])));
	}

	// remove(map, keys)
	Napi::Value remove(const Napi::CallbackInfo &info)
	{
		if (!capture_)
			return closed(info.Env());
		std::string map = info[0].ToString().Utf8Value();
		return to_js(info.Env(), capture_->remove(map.c_str(), bytes(info[1])));
	}

	Napi::Value ring_used(const Napi::CallbackInfo &info)
	{
		const auto used = capture_ ? capture_->ring().used() : 0;
		return Napi::Number::New(info.Env(), static_cast<double>(used));
	}

	Napi::Value recursion_misses(const Napi::CallbackInfo &info)
	{
		if (!capture_)
			return closed(info.Env());
		return with(info.Env(), "value",
			    Napi::Number::New(info.Env(), static_cast<double>(capture_->recursion_misses())));
	}

	static Napi::Value closed(Napi::Env env) { return to_js(env, Error{"closed", "", EBADF, "", ""}); }

	static Napi::Value with(Napi::Env env, const char *name, Napi::Value value)
	{
		Napi::Object result = Napi::Object::New(env);
		result[name] = value;
		return result;
	}

	std::unique_ptr<Capture> capture_;
	std::shared_ptr<Wakeup> wakeup_;
};

// Opens on a thread of libuv's, so that the event loop goes on meanwhile.
class Opening : public Napi::AsyncWorker
{
      public:
	Opening(Napi::Env env, CaptureOptions options)
	    : Napi::AsyncWorker(env, "whodns.open"), options_(std::move(options)), done_(env)
	{
	}
	Napi::Promise promise() const { return done_.Promise(); }

      protected:
	void Execute() override
	{
		if (auto checked = check_types(options_, "dns_ports"); !checked)
			opened_.emplace(checked.error());
		else
			opened_.emplace(Capture::open(options_));
	}
	void OnOK() override { done_.Resolve(result(Env())); }
	void OnError(const Napi::Error &error) override { done_.Reject(error.Value()); }

      private:
	Napi::Object result(Napi::Env env)
	{
		if (!*opened_)
			return to_js(env, opened_->error());
		Napi::Object result = Napi::Object::New(env);
		Napi::Array skipped = Napi::Array::New(env);
		for (const std::string &name : opened_->value()->skipped())
			skipped[skipped.Length()] = name;
		result["skipped"] = skipped;
		auto pointer = Napi::External<Capture>::New(env, opened_->value().release());
		result["capture"] = env.GetInstanceData<Napi::FunctionReference>()->New({pointer});
		return result;
	}

	CaptureOptions options_;
	std::optional<Result<std::unique_ptr<Capture>>> opened_;
	Napi::Promise::Deferred done_;
};

// open(options) -> Promise<{capture, skipped: string[]} | {error}>
Napi::Value open(const Napi::CallbackInfo &info)
{
	auto *opening = new Opening(info.Env(), capture_options(info[0].As<Napi::Object>())); // deletes itself
	const Napi::Promise promise = opening->promise();
	opening->Queue();
	return promise;
}

// tryFamily(options, portsKnob) -> {fires?: boolean} | {error}
Napi::Value try_family_js(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	auto trial = try_family(capture_options(info[0].As<Napi::Object>()), info[1].ToString().Utf8Value());
	if (!trial)
		return to_js(env, trial.error());
	Napi::Object result = Napi::Object::New(env);
	if (trial.value().fires)
		result["fires"] = *trial.value().fires;
	return result;
}

// mapCapability() -> {capability?: number}
Napi::Value map_capability_js(const Napi::CallbackInfo &info)
{
	Napi::Object result = Napi::Object::New(info.Env());
	if (const auto capability = map_capability())
		result["capability"] = *capability;
	return result;
}

// limitCapabilities(keep: number[], forever: boolean) -> {} | {error}
Napi::Value limit_capabilities_js(const Napi::CallbackInfo &info)
{
	uint64_t keep = 0;
	for (const uint64_t capability : integers(info[0].As<Napi::Array>()))
		keep |= uint64_t{1} << capability;
	return to_js(info.Env(), limit_capabilities(keep, info[1].ToBoolean()));
}

// filterSystemCalls(mode: 'enforce' | 'log') -> {} | {error}
Napi::Value filter_system_calls_js(const Napi::CallbackInfo &info)
{
	const bool is_log = info[0].ToString().Utf8Value() == "log";
	return to_js(info.Env(), filter_system_calls(is_log ? FilterMode::log : FilterMode::enforce));
}

// connectDatagram(path) -> {fd: number} | {error}
Napi::Value connect_datagram_js(const Napi::CallbackInfo &info)
{
	auto connected = connect_datagram(info[0].ToString().Utf8Value());
	if (!connected)
		return to_js(info.Env(), connected.error());
	Napi::Object result = Napi::Object::New(info.Env());
	result["fd"] = connected.value();
	return result;
}

// watchdog({cells: Uint32Array, names: string[], processorSeconds, seconds, exitCode}) -> {} | {error}
Napi::Value watchdog_js(const Napi::CallbackInfo &info)
{
	const auto given = info[0].As<Napi::Object>();
	auto cells = given.Get("cells").As<Napi::Uint32Array>();
	// The thread reads them to the end of the process.
	new Napi::ObjectReference(Napi::Persistent(cells.As<Napi::Object>()));
	const auto number = [&](const char *name) { return given.Get(name).ToNumber().Uint32Value(); };
	WatchdogOptions options{cells.Data(), {}, number("processorSeconds"), number("seconds"), 0};
	options.exit_code = static_cast<int>(number("exitCode"));
	const auto names = given.Get("names").As<Napi::Array>();
	for (uint32_t i = 0; i < names.Length(); i++)
		options.names.push_back(names.Get(i).ToString().Utf8Value());
	return to_js(info.Env(), start_watchdog(std::move(options)));
}

// Batches and requests of some 100 KB come and go all the time. glibc would raise its threshold for giving such memory back
// at once (malloc/malloc.c, dynamic mmap threshold) and keep it in pieces. And what libbpf reads of the kernel's BTF on a thread, some
// 10 MB, would stay in an arena of that thread: so before the first one starts. For the whole process, so not unless asked.
Napi::Value keep_memory_small(const Napi::CallbackInfo &info)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	mallopt(M_ARENA_MAX, 1);
#endif
	return info.Env().Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports)
{
	env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(CaptureObject::define(env))));
	exports["open"] = Napi::Function::New(env, open, "open");
	exports["objectDigest"] = OBJECT_DIGEST;
	exports["tryFamily"] = Napi::Function::New(env, try_family_js, "tryFamily");
	exports["mapCapability"] = Napi::Function::New(env, map_capability_js, "mapCapability");
	exports["limitCapabilities"] = Napi::Function::New(env, limit_capabilities_js, "limitCapabilities");
	exports["filterSystemCalls"] = Napi::Function::New(env, filter_system_calls_js, "filterSystemCalls");
	exports["connectDatagram"] = Napi::Function::New(env, connect_datagram_js, "connectDatagram");
	exports["keepMemorySmall"] = Napi::Function::New(env, keep_memory_small, "keepMemorySmall");
	exports["watchdog"] = Napi::Function::New(env, watchdog_js, "watchdog");
	return exports;
}

} // namespace
} // namespace whodns

Napi::Object whodns_init(Napi::Env env, Napi::Object exports)
{
	return whodns::init(env, exports);
}
NODE_API_MODULE(whodns, whodns_init)
