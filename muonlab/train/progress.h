// The lines that a person watches, and the same lines in log.txt.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "muonlab/kernels/peak.h"
#include "muonlab/kernels/polar.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/summary.h"

namespace muonlab::train {

struct StepReport {
  std::int64_t step = 0;  ///< done, from 1
  std::int64_t total = 0;
  double loss = 0;  ///< nats per token
  double gradient_norm = 0;
  double lr = 0;       ///< of the hidden matrices
  double seconds = 0;  ///< of this step
  double optimizer_seconds = 0;
  std::int64_t tokens = 0;  ///< in this step
};

/// Of the polar factors that the packed kernels find.
struct PolarSpeed {
  kernels::PolarFlops work;  ///< of a step
  double seconds = 0;        ///< of the whole optimizer, a step
  kernels::Peak peak;
};

/// Writes to `out` (a terminal: one line that is rewritten; else plain lines
/// every `every` steps) and hands every plain line to `log`.
class Progress {
 public:
  Progress(std::int64_t every, std::function<void(std::string_view)> log);
  /// No output at all but the log.
  void set_quiet(bool quiet) { quiet_ = quiet; }

  void note(std::string_view line);
  void step(const StepReport& report);
  void evaluation(std::int64_t step, std::int64_t total,
                  const HeldOutLoss& loss);
  void polar_speed(const PolarSpeed& speed);
  void finished(const RunSummary& summary);

 private:
  void rewrite(std::string_view line);

  std::int64_t every_;
  std::function<void(std::string_view)> log_;
  bool terminal_;
  bool quiet_ = false;
  bool line_open_ = false;     // a rewritten line is on the screen
  double rate_ = 0;            // bias-corrected moving mean of seconds per step
  double optimizer_rate_ = 0;  // the same of its optimizer
  double weight_ = 0;
};

}  // namespace muonlab::train
