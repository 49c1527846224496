#include "muonlab/train/run_folder.h"

#include <array>
#include <chrono>
#include <system_error>

#include "muonlab/core/error.h"
#include "muonlab/train/environment.h"

namespace muonlab::train {

namespace {

// A killed study's cells end by themselves after their step; wait for that.
constexpr auto kPatience = std::chrono::seconds(10);

// The summary says that a run is whole, so it comes last.
constexpr std::array kFiles = {"config.toml",
                               "config.json",
                               "env.json",
                               "metrics.jsonl",
                               "log.txt",
                               "model.safetensors",
                               "initial.safetensors",
                               "windows.safetensors",
                               "summary.json"};

// By rename, which needs no space. A file that is not there is passed over.
void move_file(const std::filesystem::path& from,
               const std::filesystem::path& to, const char* name) {
  std::error_code ignored;
  std::filesystem::rename(from / name, to / name, ignored);
}

// A folder that no run has touched must be empty: "--out ." would otherwise
// write over a user's own config.toml.
void refuse_foreign(const std::filesystem::path& path) {
  std::error_code ignored;
  bool any = false;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
    const std::string name = entry.path().filename().string();
    // .lock and summary.json are a run's, cell.toml and output.txt a study's.
    if (name == ".lock" || name == "summary.json" || name == "cell.toml" ||
        name == "replaced") {
      return;
    }
    any = true;
  }
  MUONLAB_CHECK(!any, path.string(),
                ": the folder has files that no run of muonlab wrote; choose "
                "another with --out");
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path path) : path_(std::move(path)) {
  core::make_folder(path_);
  refuse_foreign(path_);
  core::check_writable(path_);
  lock_ = std::make_unique<core::FileLock>(path_, kPatience,
                                           "another process is training there");
  settle();  // what a killed process left
}

RunFolder::~RunFolder() {
  if (begun_) settle();
}

// An earlier run that was put aside goes once the new one is whole, and comes
// back otherwise.
void RunFolder::settle() {
  std::error_code ignored;
  if (!std::filesystem::exists(aside(), ignored)) return;
  const auto status = [](const std::filesystem::path& summary) {
    try {
      return read_summary(summary).status;
    } catch (const Error&) {
      return std::string("none");
    }
  };
  const std::string now = status(summary_path());
  const std::string before = status(aside() / "summary.json");
  const bool whole = now == "done" || now == "diverged";
  const bool newer = now == "interrupted" && before == "interrupted";
  if (!whole && !newer) {
    for (const char* name : kFiles) move_file(aside(), path_, name);
  }
  std::filesystem::remove_all(aside(), ignored);
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
