// The files of a claimed folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "muonlab/study/claim_owner_internal.h"

namespace muonlab::study::detail {

/// What one file says.
struct ClaimRecord {
  Owner owner;
  std::string token;  ///< random, one for each claim; a release repeats it
  std::string taken;  ///< for readers: the owner's clock, UTC
  std::chrono::milliseconds expiry{};
  bool released = false;
};

/// A file as it lies there. `record` is empty when it is not one of ours.
struct StoredClaim {
  std::optional<ClaimRecord> record;
  std::chrono::nanoseconds modified{};  ///< by the file system's clock
};

/// The highest number among NUMBER.json in `folder`; 0 when there is none. On
/// NFS a listing may be old: what it says is a place to begin at.
[[nodiscard]] std::int64_t newest_number(const std::filesystem::path& folder);

[[nodiscard]] std::filesystem::path numbered_file(
    const std::filesystem::path& folder, std::int64_t number);

/// Empty when the file is not there. Throws Error(kIo) when it cannot be read.
[[nodiscard]] std::optional<StoredClaim> read_claim(
    const std::filesystem::path& path);

/// 128 random bits in hexadecimal.
[[nodiscard]] std::string random_token();
/// "2026-01-31T12:00:00Z".
[[nodiscard]] std::string utc_now();

/// A record in a file of its own, until it is linked to a number.
class ClaimDraft {
 public:
  /// Throws Error(kIo).
  ClaimDraft(const std::filesystem::path& folder, const ClaimRecord& record);
  ~ClaimDraft();  ///< removes the draft's own name
  ClaimDraft(const ClaimDraft&) = delete;
  ClaimDraft& operator=(const ClaimDraft&) = delete;

  /// The time at which it was written, by the file system's clock.
  [[nodiscard]] std::chrono::nanoseconds written() const { return written_; }
  /// Makes it the file of that number; false when there is one. Throws Error:
  /// kIo, and kUnsupported without hard links.
  [[nodiscard]] bool publish(std::int64_t number) const;

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
  std::chrono::nanoseconds written_{};
};

/// Removes drafts that killed processes left, an hour older than `now`.
void remove_old_drafts(const std::filesystem::path& folder,
                       std::chrono::nanoseconds now);

}  // namespace muonlab::study::detail
