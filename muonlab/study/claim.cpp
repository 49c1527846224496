#include "muonlab/study/claim.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/study/claim_record_internal.h"

namespace muonlab::study {

namespace {

using detail::Life;
using detail::StoredClaim;

constexpr const char* kFolder = "claims";

struct Judgement {
  bool held = false;
  std::string ended;  // whose claim ended without a release; may be empty
};

std::string seconds_text(std::chrono::nanoseconds time) {
  return core::duration(std::chrono::duration<double>(time).count());
}

// `now` and the file's time come from the same clock, the file system's.
Judgement judge(const StoredClaim& claim, const std::filesystem::path& file,
                std::chrono::nanoseconds now, const ClaimOptions& options) {
  const auto age = now - claim.modified;
  if (!claim.record) {
    if (age <= options.expiry) return {.held = true, .ended = {}};
    return {.held = false,
            .ended = concat(file.string(),
                            ": not a claim that can be read, unchanged for ",
                            seconds_text(age))};
  }
  if (claim.record->released) return {};
  const std::string who = concat(detail::owner_text(claim.record->owner),
                                 " since ", claim.record->taken);
  switch (detail::life_of(claim.record->owner)) {
    case Life::kAlive:
      return {.held = true, .ended = {}};
    case Life::kGone:
      return {.held = false, .ended = who + ", which is gone"};
    case Life::kUnknown:
      break;
  }
  if (age <= claim.record->expiry) return {.held = true, .ended = {}};
  return {
      .held = false,
      .ended = concat(who, ", without a sign of life for ", seconds_text(age))};
}

}  // namespace

std::optional<Claim> Claim::take(const std::filesystem::path& folder,
                                 const ClaimOptions& options) {
  MUONLAB_CHECK(
      options.heartbeat.count() > 0 && options.heartbeat < options.expiry,
      "claim of ", folder.string(), ": got a heartbeat of ",
      options.heartbeat.count(), " ms and an expiry of ",
      options.expiry.count(), " ms, expected 0 < heartbeat < expiry");
  Claim claim;
  claim.token_ = detail::random_token();
  claim.options_ = options;
  const auto claims = folder / kFolder;
  core::make_folder(claims);
  const auto begin = std::chrono::steady_clock::now();
  const detail::ClaimDraft draft(claims, {.owner = detail::this_process(),
                                          .token = claim.token_,
                                          .taken = detail::utc_now(),
                                          .expiry = options.expiry,
                                          .released = false});
  // Each failure to publish proves that there is a file of the next number.
  for (std::int64_t last = detail::newest_number(claims);; ++last) {
    const auto file = detail::numbered_file(claims, last);
    claim.taken_over_.clear();
    if (const auto stored = detail::read_claim(file)) {
      const Judgement found = judge(*stored, file, draft.written(), options);
      if (found.held) return std::nullopt;
      claim.taken_over_ = found.ended;
    }
    if (draft.publish(last + 1)) {
      claim.folder_ = claims;
      claim.number_ = last + 1;
      claim.renewed_ = begin;
      detail::remove_old_drafts(claims, draft.written());
      return claim;
    }
  }
}

Claim::~Claim() {
  try {
    (void)release();
  } catch (const std::exception&) {
    // Others take the folder over once this process is gone or silent.
    folder_.clear();
  }
}

Claim::Claim(Claim&& other) noexcept
    : folder_(std::exchange(other.folder_, {})),
      number_(other.number_),
      token_(std::move(other.token_)),
      taken_over_(std::move(other.taken_over_)),
      options_(other.options_),
      renewed_(other.renewed_) {}

Claim& Claim::operator=(Claim&& other) noexcept {
  Claim taken(std::move(other));  // releases what this one held when it goes
  std::swap(folder_, taken.folder_);
  std::swap(number_, taken.number_);
  std::swap(token_, taken.token_);
  std::swap(taken_over_, taken.taken_over_);
  std::swap(options_, taken.options_);
  std::swap(renewed_, taken.renewed_);
  return *this;
}

std::filesystem::path Claim::file(std::int64_t number) const {
  return detail::numbered_file(folder_, number);
}

bool Claim::renew() {
  if (folder_.empty()) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now - renewed_ < options_.heartbeat) return true;
  try {
    if (!held()) return false;
    // No times given: the file system's own clock, the server's on NFS.
    if (::utimensat(AT_FDCWD, file(number_).c_str(), nullptr, 0) == 0) {
      renewed_ = now;
    }
  } catch (const Error&) {
    // A server that does not answer now: ours as long as nobody may doubt it.
  }
  return now - renewed_ < options_.expiry;
}

bool Claim::held() const {
  if (folder_.empty()) return false;
  const auto mine = detail::read_claim(file(number_));
  return mine && mine->record && mine->record->token == token_ &&
         detail::newest_number(folder_) == number_;
}

bool Claim::release() {
  if (folder_.empty()) return false;
  const bool ours = held();
  const std::filesystem::path claims = std::exchange(folder_, {});
  if (!ours) return false;
  const detail::ClaimDraft draft(claims, {.owner = detail::this_process(),
                                          .token = token_,
                                          .taken = detail::utc_now(),
                                          .expiry = std::chrono::milliseconds{},
                                          .released = true});
  return draft.publish(number_ + 1);
}

std::string claim_text(const std::filesystem::path& folder) {
  const auto claims = folder / kFolder;
  std::error_code ignored;
  if (!std::filesystem::exists(claims, ignored)) return "";
  const auto file =
      detail::numbered_file(claims, detail::newest_number(claims));
  const auto stored = detail::read_claim(file);
  if (!stored) return "";
  if (!stored->record) return file.string() + ", which cannot be read";
  if (stored->record->released) return "";
  return concat(detail::owner_text(stored->record->owner), " since ",
                stored->record->taken);
}

}  // namespace muonlab::study
