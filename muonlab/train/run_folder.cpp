#include "muonlab/train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "muonlab/core/error.h"
#include "muonlab/train/environment.h"

namespace muonlab::train {

namespace {

// A killed study's cells end by themselves after their step; wait for that.
constexpr int kLockTries = 100;
constexpr auto kLockPause = std::chrono::milliseconds(100);

// The summary says that a run is whole, so it comes last.
constexpr std::array kFiles = {
    "config.toml", "config.json",       "env.json",    "metrics.jsonl",
    "log.txt",     "model.safetensors", "summary.json"};

// By rename, which needs no space. A file that is not there is passed over.
void move_file(const std::filesystem::path& from,
               const std::filesystem::path& to, const char* name) {
  std::error_code ignored;
  std::filesystem::rename(from / name, to / name, ignored);
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path path) : path_(std::move(path)) {
  core::check_writable(path_);
  const auto name = path_ / ".lock";
  lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) throw_io_error(name, "cannot create", errno);
  for (int i = 0; ::flock(lock_, LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno == EWOULDBLOCK && i < kLockTries) {
      std::this_thread::sleep_for(kLockPause);
      continue;
    }
    ::close(lock_);
    throw Error(ErrorKind::kIo,
                concat(path_.string(), ": another process is training there"),
                "wait for it, or choose another folder with --out");
  }
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  if (begun_ && std::filesystem::exists(aside(), ignored)) {
    if (!std::filesystem::exists(summary_path(), ignored)) {
      for (const char* name : kFiles) move_file(aside(), path_, name);
    }
    std::filesystem::remove_all(aside(), ignored);
  }
  ::close(lock_);
}

std::optional<RunSummary> RunFolder::earlier() const {
  if (!std::filesystem::exists(summary_path())) return std::nullopt;
  return read_summary(summary_path());
}

void RunFolder::begin(RunConfig config, const std::vector<std::string>& argv) {
  std::error_code ignored;
  if (std::filesystem::exists(summary_path(), ignored)) {
    core::make_folder(aside());
    for (auto name = kFiles.rbegin(); name != kFiles.rend(); ++name) {
      move_file(path_, aside(), *name);
    }
  }
  begun_ = true;
  const Fields fields = fields_of(config);
  core::write_file(path_ / "config.toml", fields.to_toml(false));
  formats::write_json(path_ / "config.json", fields.to_json());
  formats::write_json(path_ / "env.json", environment(argv));
  metrics_ = std::make_unique<core::LineLog>(path_ / "metrics.jsonl", true);
  log_ = std::make_unique<core::LineLog>(path_ / "log.txt", true);
}

void RunFolder::metric(const formats::Json& line) {
  metrics_->line(line.dump());
}

void RunFolder::log(std::string_view line) { log_->line(line); }

}  // namespace muonlab::train
