#include "muonlab/study/figure_export.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

extern char** environ;

namespace muonlab::study {

namespace {

constexpr int kMissingPackage = 7;  // of scripts/export_figures.py
constexpr const char* kRemedy =
    "run scripts/setup, which installs vl-convert-python into .venv, or name "
    "an interpreter that has it with --python or $MUONLAB_PYTHON";

// What a program said, on stdout and stderr together, and how it ended.
struct Spoken {
  std::string text;
  int exit_code = 0;
};

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> bytes{};
  for (;;) {
    const auto count = ::read(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(bytes.data(), static_cast<std::size_t>(count));
  }
}

// Throws kUnsupported when the program cannot be started.
Spoken run_program(std::vector<std::string> arguments) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    throw_io_error(arguments.front(), "cannot start", errno);
  }
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], 2);
  std::vector<char*> pointers;
  for (std::string& text : arguments) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  pid_t pid = 0;
  const int fault = ::posix_spawnp(&pid, pointers.front(), &actions, nullptr,
                                   pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  Spoken spoken;
  if (fault == 0) {
    spoken.text = read_all(pipe[0]);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    spoken.exit_code =
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  ::close(pipe[0]);
  if (fault != 0) {
    throw Error(ErrorKind::kUnsupported,
                concat(arguments.front(), ": cannot be started to draw the ",
                       "figures: ", std::strerror(fault)),
                kRemedy);
  }
  return spoken;
}

std::string without_end_of_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void check_ending(const Spoken& spoken, const FigureExport& how) {
  if (spoken.exit_code == 0) return;
  const std::string words = without_end_of_line(spoken.text);
  if (spoken.exit_code == kMissingPackage) {
    throw Error(
        ErrorKind::kUnsupported,
        concat(how.python.string(),
               ": has no vl-convert-python, which draws the figures: ", words),
        kRemedy);
  }
  throw Error(ErrorKind::kIo,
              concat(how.script.string(), ": ended with ", spoken.exit_code,
                     words.empty() ? "" : ": ", words));
}

}  // namespace

const std::vector<std::string>& figure_formats() {
  static const std::vector<std::string> kFormats = {"svg", "png", "pdf"};
  return kFormats;
}

std::vector<std::filesystem::path> export_figures(
    const std::vector<std::filesystem::path>& specs, const FigureExport& how) {
  for (const std::string& format : how.formats) {
    MUONLAB_CHECK(std::ranges::count(figure_formats(), format) == 1,
                  "figure format '", format, "': expected one of ",
                  core::join(figure_formats(), ", "));
  }
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(how.script, ignored)) {
    throw Error(ErrorKind::kIo,
                how.script.string() +
                    ": the script that draws figures is "
                    "missing",
                "install muonlab again, or run it from its source tree");
  }
  std::vector<std::filesystem::path> files;
  if (specs.empty() || how.formats.empty()) return files;
  std::vector<std::string> arguments = {how.python.string(),
                                        how.script.string(), "--format",
                                        core::join(how.formats, ",")};
  for (const auto& spec : specs) {
    // Absolute, so that no name looks like an option.
    arguments.push_back(std::filesystem::absolute(spec).string());
    for (const std::string& format : how.formats) {
      auto& file = files.emplace_back(spec);
      file.replace_extension().replace_extension("." + format);
    }
  }
  check_ending(run_program(std::move(arguments)), how);
  for (const auto& file : files) {
    if (!std::filesystem::exists(file, ignored)) {
      throw Error(ErrorKind::kInternal,
                  file.string() + ": the figure was not written");
    }
  }
  return files;
}

}  // namespace muonlab::study
