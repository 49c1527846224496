// Which process a claim names, and whether that process still lives.
#pragma once

#include <cstdint>
#include <string>

namespace muonlab::study::detail {

/// A process, told apart from every other one of all machines and times.
struct Owner {
  std::string host;           ///< for readers; names repeat
  std::string boot;           ///< the kernel's random id of this boot
  std::string pid_namespace;  ///< containers of one boot count pids apart
  std::int64_t pid = 0;       ///< within that namespace
  std::uint64_t start = 0;    ///< ticks from boot to its start; pids repeat
};

/// kUnknown: on another machine, or not to be seen from here.
enum class Life { kAlive, kGone, kUnknown };

/// The calling process. Throws Error(kIo) when /proc does not say.
[[nodiscard]] Owner this_process();

/// Whether `owner` still runs; killed but not yet waited for counts as gone.
[[nodiscard]] Life life_of(const Owner& owner);

/// "process 4711 on host".
[[nodiscard]] std::string owner_text(const Owner& owner);

}  // namespace muonlab::study::detail
