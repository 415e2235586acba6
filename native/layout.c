/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for its BTF only (layout.ts): a compiler describes the types that a variable uses, so here is one of each. */
#include "../bpf/event.h"

struct layout_roots {
	struct event_header event_header;
	struct owner owner;
	struct owner_event owner_event;
	struct message_event message_event;
	struct message_addresses message_addresses;
	struct trace_context trace_context;
	struct interface_event interface_event;
	struct process_event process_event;
	struct connection_event connection_event;
	struct connection_addresses connection_addresses;
	struct process_key process_key;
	struct process_value process_value;
	struct exit_event exit_event;
	struct share_key share_key;
	struct share_value share_value;
	struct share_rate share_rate;
	struct trace_place trace_place;
	enum event_kind event_kind;
	enum owner_ids owner_ids;
	enum message_direction message_direction;
	enum hook_family hook_family;
	enum message_flags message_flags;
	enum unreachable unreachable;
	enum process_flags process_flags;
	enum connection_flags connection_flags;
	enum drop_reason drop_reason;
	enum counter counter;
	enum visibility_level visibility_level;
	enum common_share common_share;
	enum gone gone;
} layout_roots;
