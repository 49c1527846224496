#include "muonlab/core/error.h"

#include <cerrno>
#include <cstring>

namespace muonlab {

int exit_code(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return 3;
    case ErrorKind::kIo:
    case ErrorKind::kCorruptData:
      return 4;
    case ErrorKind::kDiverged:
      return 5;
    case ErrorKind::kInterrupted:
      return 6;
    case ErrorKind::kUnsupported:
      return 7;
    case ErrorKind::kInternal:
      return 70;
  }
  return 70;
}

void throw_io_error(const std::filesystem::path& path, std::string_view what,
                    int error_number) {
  std::string hint;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      hint =
          "free some space there, or choose another folder with --out; "
          "what was saved before is intact";
      break;
    case EROFS:
      hint = "the file system is read-only: choose another folder with --out";
      break;
    case EACCES:
    case EPERM:
      hint = "check the permissions, or choose another folder with --out";
      break;
    case ENOENT:
    case ENOTDIR:
      hint = "check the path";
      break;
    default:
      break;
  }
  throw Error(
      ErrorKind::kIo,
      concat(path.string(), ": ", what, ": ", std::strerror(error_number)),
      hint);
}

}  // namespace muonlab
