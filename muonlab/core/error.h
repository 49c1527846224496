// The one exception type of muonlab, and the checks that throw it.
//
// Message form: `who: what is wrong: got X, expected Y`; lower case, no full
// stop. The remedy goes into the hint, which tools print on a line of its own.
#pragma once

#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace muonlab {

/// What kind of mistake an Error reports; tools map it to their exit code.
enum class ErrorKind {
  kInvalidArgument,  ///< a caller's or a configuration's value; exit code 3
  kIo,               ///< a file or folder cannot be used; exit code 4
  kCorruptData,      ///< a file's content is not what it should be; exit code 4
  kDiverged,         ///< a non-finite loss or gradient; exit code 5
  kInterrupted,      ///< SIGINT or SIGTERM; exit code 6
  kUnsupported,      ///< not available on this machine or build; exit code 7
  kInternal,         ///< a fault of muonlab; exit code 70
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::string hint = "")
      : std::runtime_error(message), kind_(kind), hint_(std::move(hint)) {}

  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  /// What the user can do about it; empty when there is nothing to add.
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorKind kind_;
  std::string hint_;
};

/// The exit code that `conventions` give to a kind of error.
[[nodiscard]] int exit_code(ErrorKind kind) noexcept;

/// Throws kIo: "PATH: what: reason of `error_number`", with a hint that fits
/// the reason (disk full, read-only, no permission, missing).
[[noreturn]] void throw_io_error(const std::filesystem::path& path,
                                 std::string_view what, int error_number);

/// All parts written one after the other, as operator<< writes them.
template <typename... Parts>
[[nodiscard]] std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace muonlab

/// Throws Error(kInvalidArgument) built from the parts; for callers' mistakes,
/// always on.
#define MUONLAB_CHECK(condition, ...)                                \
  do {                                                               \
    if (!(condition)) {                                              \
      throw ::muonlab::Error(::muonlab::ErrorKind::kInvalidArgument, \
                             ::muonlab::concat(__VA_ARGS__));        \
    }                                                                \
  } while (false)
