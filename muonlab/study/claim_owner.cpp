#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>

#include "muonlab/core/error.h"
#include "muonlab/study/claim_owner_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";
constexpr const char* kNamespace = "/proc/self/ns/pid";

struct ProcessStat {
  char state = '?';
  std::uint64_t start = 0;
};

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

std::string boot_id() {
  std::string id;
  std::ifstream file(kBootId);
  if (!(file >> id)) throw_io_error(kBootId, "cannot read", errno);
  return id;
}

std::string pid_namespace() {
  std::array<char, 64> name{};
  const auto length = ::readlink(kNamespace, name.data(), name.size());
  if (length < 0) throw_io_error(kNamespace, "cannot read", errno);
  return {name.data(), static_cast<std::size_t>(length)};
}

// proc(5): the name stands in parentheses and may hold any of them itself; the
// state is the 3rd field, the start time the 22nd.
std::optional<ProcessStat> stat_of(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text, '\0')) return std::nullopt;
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  if (!(fields >> stat.start)) return std::nullopt;
  return stat;
}

}  // namespace

Owner this_process() {
  const std::int64_t pid = ::getpid();
  const auto stat = stat_of(pid);
  if (!stat) {
    throw Error(ErrorKind::kIo, concat("/proc/", pid, "/stat: cannot be read"),
                "claims need a mounted /proc");
  }
  return {host_name(), boot_id(), pid_namespace(), pid, stat->start};
}

Life life_of(const Owner& owner) {
  if (owner.boot != boot_id() || owner.pid_namespace != pid_namespace()) {
    return Life::kUnknown;
  }
  if (::kill(static_cast<pid_t>(owner.pid), 0) != 0 && errno == ESRCH) {
    return Life::kGone;
  }
  // Of another user, whose processes this machine may hide.
  const auto stat = stat_of(owner.pid);
  if (!stat) return Life::kUnknown;
  const bool dead = stat->state == 'Z' || stat->state == 'X';
  return dead || stat->start != owner.start ? Life::kGone : Life::kAlive;
}

std::string owner_text(const Owner& owner) {
  return concat("process ", owner.pid, " on ", owner.host);
}

}  // namespace muonlab::study::detail
