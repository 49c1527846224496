// Exclusive claims of run folders between processes of several machines.
//
// How a scheduler of a shared study uses it, with `take` in place of a lock on
// the study:
//   - before it starts a cell: read the cell's result; if there is none, take
//     the claim, and read once more, since the cell may have been finished
//     between the two. No claim: leave the cell in the queue and go on with
//     the next; with nothing else to start, look again every second or so.
//   - claim->taken_over() goes to the user when it is not empty. The run of a
//     killed scheduler ends by itself after its step (--child-of); until then
//     the lock of its run folder makes the new run wait.
//   - in every round of its poll loop: claim.renew() for each claim it holds,
//     which touches no file until a heartbeat is due. False: another process
//     has the cell, so end the run and put the cell back into the queue.
//   - a wait longer than the expiry (a measurement) must call renew() inside,
//     or other machines take the cells.
//   - when the run has ended: claim.held(), then read and record the result,
//     then claim.release(), which says whether the claim was ours to the end.
//   - an error or an interrupt: the destructor releases; after SIGKILL others
//     see it at once on the same machine, elsewhere after the expiry.
//   - what belongs to the study (parallel.json) gets a claim of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace muonlab::study {

struct ClaimOptions {
  /// How long others honour the claim without a sign of life. It covers an NFS
  /// client's attribute cache (60 s) and a few heartbeats.
  std::chrono::milliseconds expiry = std::chrono::minutes(2);
  /// How often renew() writes a sign of life.
  std::chrono::milliseconds heartbeat = std::chrono::seconds(10);
};

/// One process's claim of a folder. Not thread-safe; move-only.
///
/// The folder's `claims/` is a list that only grows: 1.json, 2.json, ... Each
/// file is a claim or the release of the one before it; the last one counts. A
/// file appears whole and exclusively by link(2), which is atomic on NFS too,
/// and is never renamed, rewritten or removed: there is no moment at which two
/// processes could both see a free folder. The heartbeat is the claim file's
/// modification time, set by the file system's own clock.
///
/// A claim ends by its release; when its process is gone, if that ran on this
/// machine (same boot, same PID namespace, no process of that PID and start
/// time); and, for processes elsewhere, when its heartbeat is older than the
/// expiry that it states. A process that lives on this machine keeps its claim
/// however old the heartbeat. Clocks of machines are not compared.
class Claim {
 public:
  /// Claims `folder`, which is made if it is missing; empty when another claim
  /// holds it (claim_text says whose). A file in `claims/` that cannot be
  /// understood holds the folder for `options.expiry` after its last change.
  ///
  /// Throws Error: kIo when files cannot be written or read, kUnsupported when
  /// the file system has no hard links, kInvalidArgument for options that are
  /// not 0 < heartbeat < expiry.
  [[nodiscard]] static std::optional<Claim> take(
      const std::filesystem::path& folder, const ClaimOptions& options = {});

  ~Claim();  ///< releases
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&& other) noexcept;
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  /// Gives a sign of life when one is due. False when the claim is lost: taken
  /// over by another process, its file gone, or no sign of life could be
  /// written for as long as the expiry. Throws nothing.
  bool renew();
  /// Whether the claim is still ours, by a look at the files; on NFS that look
  /// can be as old as the client's directory cache. Throws Error(kIo).
  [[nodiscard]] bool held() const;
  /// Ends the claim, and says whether it was ours until now: exactly, since
  /// the release is a file that only one process can make. Throws Error(kIo).
  bool release();

  /// Whose claim ended without a release, and why it counts as ended; empty
  /// when the folder was free.
  [[nodiscard]] const std::string& taken_over() const { return taken_over_; }
  [[nodiscard]] const std::string& token() const { return token_; }

 private:
  Claim() = default;
  [[nodiscard]] std::filesystem::path file(std::int64_t number) const;

  std::filesystem::path folder_;  // .../claims; empty when not held
  std::int64_t number_ = 0;
  std::string token_;
  std::string taken_over_;
  ClaimOptions options_;
  std::chrono::steady_clock::time_point renewed_;
};

/// Who has claimed the folder last, and since when, for people: "process 4711
/// on host since 2026-01-31T12:00:00Z"; empty when it is free. Does not judge
/// whether that process lives. Throws Error(kIo).
[[nodiscard]] std::string claim_text(const std::filesystem::path& folder);

}  // namespace muonlab::study
