#include "muonlab/study/process_pool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "muonlab/core/error.h"

extern char** environ;

namespace muonlab::study {

namespace {

std::vector<std::string> child_environment(std::int64_t threads) {
  const std::vector<std::string> fixed = {concat("OMP_NUM_THREADS=", threads),
                                          concat("MKL_NUM_THREADS=", threads),
                                          "OMP_WAIT_POLICY=passive"};
  std::vector<std::string> variables = fixed;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const std::string& own : fixed) {
      replaced = replaced || own.rfind(name, 0) == 0;
    }
    if (!replaced) variables.emplace_back(text);
  }
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// A process group of its own: Ctrl-C in a terminal reaches the study alone,
// which then asks each child once.
class Attributes {
 public:
  Attributes() {
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes_, 0);
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

// RAII for posix_spawn's file actions.
class FileActions {
 public:
  explicit FileActions(const std::filesystem::path& output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, output.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
  }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  [[nodiscard]] const posix_spawn_file_actions_t* get() const {
    return &actions_;
  }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

ProcessPool::~ProcessPool() {
  terminate();
  for (const auto& [pid, ticket] : children_) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
}

void ProcessPool::start(const Process& process) {
  std::vector<std::string> arguments = {"muonlab"};
  arguments.insert(arguments.end(), process.arguments.begin(),
                   process.arguments.end());
  std::vector<std::string> variables = child_environment(process.threads);
  const FileActions actions(process.output);
  const Attributes attributes;
  pid_t pid = 0;
  const int fault =
      ::posix_spawn(&pid, "/proc/self/exe", actions.get(), attributes.get(),
                    pointers(arguments).data(), pointers(variables).data());
  if (fault != 0) {
    throw_io_error(process.output, "cannot start a run that writes there",
                   fault);
  }
  children_.emplace(pid, process.ticket);
}

std::optional<Ended> ProcessPool::poll() {
  for (auto child = children_.begin(); child != children_.end(); ++child) {
    int status = 0;
    if (::waitpid(child->first, &status, WNOHANG) <= 0) continue;
    const Ended ended{child->second, WIFEXITED(status)
                                         ? WEXITSTATUS(status)
                                         : 128 + WTERMSIG(status)};
    children_.erase(child);
    return ended;
  }
  return std::nullopt;
}

void ProcessPool::terminate(std::size_t ticket) {
  for (const auto& [pid, of] : children_) {
    if (of == ticket) ::kill(pid, SIGTERM);
  }
}

void ProcessPool::terminate() {
  for (const auto& [pid, ticket] : children_) ::kill(pid, SIGTERM);
}

}  // namespace muonlab::study
