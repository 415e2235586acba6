// SPDX-License-Identifier: Apache-2.0
// The seam to JavaScript: converts and registers, nothing else. The only file that knows Node-API. Expected failures
// are returned as {error: {op, subject, errno, code, hint, detail}}; src/capture/kernel.ts makes typed errors of them.
#include "capture.h"
#include "object_digest.h" // made by the Makefile
#include "privileges.h"
#include "reader.h"
#include "seccomp.h"
#include "trial.h"

#include <cstring>
#include <napi.h>

namespace whodns
{
namespace
{

Napi::Object to_js(Napi::Env env, const Error &error)
{
	Napi::Object fields = Napi::Object::New(env);
	const char *name = error.code == 0 ? "" : strerrorname_np(error.code);
	fields["op"] = error.op;
	fields["subject"] = error.subject;
	fields["errno"] = error.code;
	fields["code"] = name != nullptr ? name : error.code == 524 ? "ENOTSUPP" : std::to_string(error.code);
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

// {object: Uint8Array, family, besides: string[], ringBytes, knobs: {name: number[]}}; the types are checked by the TypeScript declaration.
CaptureOptions capture_options(const Napi::Object &given)
{
	CaptureOptions options;
	const auto object = bytes(given.Get("object"));
	options.object.assign(object.begin(), object.end());
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

struct Session;
struct Delivery {
	Batch batch;
	bool last = false;
};
void call_js(Napi::Env env, Napi::Function on_batch, std::shared_ptr<Session> *session, Delivery *delivery);
using Channel = Napi::TypedThreadSafeFunction<std::shared_ptr<Session>, Delivery, call_js>;

// What JavaScript's object and the channel from the reader's thread share. JavaScript's thread only, except send().
struct Session {
	std::unique_ptr<Capture> capture; // before reader: the reader goes first
	std::unique_ptr<Reader> reader;
	Channel channel;
	napi_env env = nullptr; // set while the channel is open

	void open_channel(Napi::Env environment, const Napi::Function &on_batch, std::shared_ptr<Session> *context)
	{
		channel = Channel::New(
		    environment, on_batch, "whodns", 0, 1, context,
		    [](Napi::Env, void *, std::shared_ptr<Session> *own) { delete own; }, static_cast<void *>(nullptr));
		env = environment;
		// Hooks run in reverse order: this one ends the reader's thread before Node tears the channel down. Later,
		// in a finalizer, it would wait for a thread that waits for the channel's lock.
		napi_add_env_cleanup_hook(env, close_session, this);
	}

	void send(Delivery *delivery)
	{
		if (channel.NonBlockingCall(delivery) != napi_ok)
			delete delivery;
	}

	void close()
	{
		reader.reset();
		capture.reset();
		if (napi_env open = std::exchange(env, nullptr)) {
			napi_remove_env_cleanup_hook(open, close_session, this);
			channel.Release();
		}
	}

	static void close_session(void *session) { static_cast<Session *>(session)->close(); }

	~Session() { close(); }
};

void call_js(Napi::Env env, Napi::Function on_batch, std::shared_ptr<Session> *session, Delivery *delivery)
{
	std::unique_ptr<Delivery> owned(delivery);
	if (env == nullptr || (*session)->capture == nullptr)
		return; // ending or closed: nobody to deliver to
	if (owned->last)
		on_batch.Call({env.Undefined()});
	else
		on_batch.Call({copy_to_js(env, owned->batch)});
}

class CaptureObject : public Napi::ObjectWrap<CaptureObject>
{
      public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Capture",
				   {
				       InstanceMethod("start", &CaptureObject::start),
				       InstanceMethod("release", &CaptureObject::release),
				       InstanceMethod("finish", &CaptureObject::finish),
				       InstanceMethod("close", &CaptureObject::close),
				       InstanceMethod("sums", &CaptureObject::sums),
				       InstanceMethod("entries", &CaptureObject::entries),
				       InstanceMethod("update", &CaptureObject::update),
				       InstanceMethod("remove", &CaptureObject::remove),
				       InstanceMethod("ring", &CaptureObject::ring),
				       InstanceMethod("recursionMisses", &CaptureObject::recursion_misses),
				   });
	}

	explicit CaptureObject(const Napi::CallbackInfo &info)
	    : Napi::ObjectWrap<CaptureObject>(info), session_(std::make_shared<Session>())
	{
		session_->capture.reset(info[0].As<Napi::External<Capture>>().Data());
	}

      private:
	// start(onBatch: (batch: Uint8Array | undefined) => void); undefined is the end after finish()
	Napi::Value start(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		if (!session_->capture || session_->reader)
			return to_js(env, Error{"start", "", EALREADY, "", ""});
		session_->open_channel(env, info[0].As<Napi::Function>(), new std::shared_ptr<Session>(session_));
		Session *session = session_.get(); // outlives the reader's thread: its destructor joins it
		auto reader = Reader::start(
		    *session->capture,
		    [session](Batch batch) {
			    session->send(new Delivery{std::move(batch), false});
		    },
		    [session] {
			    session->send(new Delivery{{}, true});
		    });
		if (!reader) {
			session_->close();
			return to_js(env, reader.error());
		}
		session_->reader = std::move(reader.value());
		return Napi::Object::New(env);
	}

	void release(const Napi::CallbackInfo &)
	{
		if (session_->reader)
			session_->reader->release();
	}

	void finish(const Napi::CallbackInfo &)
	{
		if (session_->reader)
			session_->reader->finish();
	}

	void close(const Napi::CallbackInfo &) { session_->close(); }

	Napi::Value sums(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		if (!session_->capture)
			return closed(env);
		auto sums = session_->capture->sums(info[0].ToString().Utf8Value().c_str());
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
		if (!session_->capture)
			return closed(env);
		auto entries = session_->capture->entries(info[0].ToString().Utf8Value().c_str());
		return entries ? with(env, "bytes", copy_to_js(env, entries.value())) : to_js(env, entries.error());
	}

	// update(map, key, value)
	Napi::Value update(const Napi::CallbackInfo &info)
	{
		if (!session_->capture)
			return closed(info.Env());
		std::string map = info[0].ToString().Utf8Value();
		return to_js(info.Env(), session_->capture->update(map.c_str(), bytes(info[1]), bytes(info[2])));
	}

	// remove(map, keys)
	Napi::Value remove(const Napi::CallbackInfo &info)
	{
		if (!session_->capture)
			return closed(info.Env());
		std::string map = info[0].ToString().Utf8Value();
		return to_js(info.Env(), session_->capture->remove(map.c_str(), bytes(info[1])));
	}

	Napi::Value ring(const Napi::CallbackInfo &info)
	{
		if (!session_->capture)
			return closed(info.Env());
		Napi::Object ring = Napi::Object::New(info.Env());
		ring["used"] = static_cast<double>(session_->capture->ring().used());
		ring["size"] = static_cast<double>(session_->capture->ring_bytes());
		return ring;
	}

	Napi::Value recursion_misses(const Napi::CallbackInfo &info)
	{
		if (!session_->capture)
			return closed(info.Env());
		return with(info.Env(), "value",
			    Napi::Number::New(info.Env(), static_cast<double>(session_->capture->recursion_misses())));
	}

	static Napi::Value closed(Napi::Env env) { return to_js(env, Error{"closed", "", EBADF, "", ""}); }

	static Napi::Value with(Napi::Env env, const char *name, Napi::Value value)
	{
		Napi::Object result = Napi::Object::New(env);
		result[name] = value;
		return result;
	}

	std::shared_ptr<Session> session_;
};

// open(options) -> {capture, skipped: string[]} | {error}
Napi::Value open(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	auto opened = Capture::open(capture_options(info[0].As<Napi::Object>()));
	if (!opened)
		return to_js(env, opened.error());
	Napi::Object result = Napi::Object::New(env);
	Napi::Array skipped = Napi::Array::New(env);
	for (const std::string &name : opened.value()->skipped())
		skipped[skipped.Length()] = name;
	result["skipped"] = skipped;
	auto pointer = Napi::External<Capture>::New(env, opened.value().release());
	result["capture"] = env.GetInstanceData<Napi::FunctionReference>()->New({pointer});
	return result;
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

Napi::Object init(Napi::Env env, Napi::Object exports)
{
	env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(CaptureObject::define(env))));
	exports["open"] = Napi::Function::New(env, open, "open");
	exports["objectDigest"] = OBJECT_DIGEST;
	exports["tryFamily"] = Napi::Function::New(env, try_family_js, "tryFamily");
	exports["mapCapability"] = Napi::Function::New(env, map_capability_js, "mapCapability");
	exports["limitCapabilities"] = Napi::Function::New(env, limit_capabilities_js, "limitCapabilities");
	exports["filterSystemCalls"] = Napi::Function::New(env, filter_system_calls_js, "filterSystemCalls");
	return exports;
}

} // namespace
} // namespace whodns

Napi::Object whodns_init(Napi::Env env, Napi::Object exports)
{
	return whodns::init(env, exports);
}
NODE_API_MODULE(whodns, whodns_init)
