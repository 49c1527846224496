#include "muonlab/train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::train {

namespace {

// The first steps allocate and warm caches; they would spoil the rate.
constexpr std::int64_t kWarmSteps = 3;
constexpr double kKeep = 0.9;  // of the moving mean

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

std::string scientific(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2e", value);
  return buffer;
}

}  // namespace

Progress::Progress(std::int64_t every,
                   std::function<void(std::string_view)> log)
    : every_(every), log_(std::move(log)), terminal_(::isatty(2) != 0) {}

void Progress::note(std::string_view line) {
  log_(line);
  if (quiet_) return;
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

void Progress::rewrite(std::string_view line) {
  // A line that wraps could not be rewritten.
  winsize size{};
  if (::ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) {
    line = line.substr(0, size.ws_col - 1U);
  }
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(line.size()),
               line.data());
  std::fflush(stderr);
  line_open_ = true;
}

void Progress::step(const StepReport& r) {
  if (r.step > kWarmSteps) {
    rate_ = kKeep * rate_ + (1 - kKeep) * r.seconds;
    optimizer_rate_ =
        kKeep * optimizer_rate_ + (1 - kKeep) * r.optimizer_seconds;
    weight_ = kKeep * weight_ + (1 - kKeep);
  }
  const double seconds = weight_ > 0 ? rate_ / weight_ : r.seconds;
  const double optimizer =
      weight_ > 0 ? optimizer_rate_ / weight_ : r.optimizer_seconds;
  const std::string total = std::to_string(r.total);
  const std::string line = concat(
      "step ", padded(std::to_string(r.step), total.size()), "/", total, " ",
      padded(core::fixed(100.0 * static_cast<double>(r.step) /
                             static_cast<double>(r.total),
                         1),
             5),
      "% | loss ", core::fixed(r.loss, 4), " | gnorm ",
      core::fixed(r.gradient_norm, 3), " | lr ", scientific(r.lr), " | ",
      core::fixed(seconds * 1e3, 1), " ms (opt ",
      core::fixed(optimizer * 1e3, 1), " ms, ",
      core::fixed(100 * optimizer / seconds, 0), "%) | ",
      core::grouped(std::llround(static_cast<double>(r.tokens) / seconds)),
      " tok/s | eta ",
      core::duration(seconds * static_cast<double>(r.total - r.step)));
  const bool plain = r.step % every_ == 0 || r.step == r.total || r.step == 1;
  if (plain) log_(line);
  if (quiet_) return;
  if (terminal_) {
    rewrite(line);
  } else if (plain) {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void Progress::evaluation(std::int64_t step, std::int64_t total,
                          const HeldOutLoss& loss) {
  note(concat(
      "eval ", step, "/", total, " | held-out ", core::fixed(loss.loss, 4),
      " +- ", core::fixed(loss.standard_error, 4), "  bpb ",
      core::fixed(loss.bits_per_byte, 4), "  ppl ",
      core::fixed(std::exp(loss.loss), 2), " | ", core::grouped(loss.tokens),
      " tokens, ", core::duration(loss.seconds)));
}

void Progress::polar_speed(const PolarSpeed& speed) {
  const double flops = speed.work.float32 + speed.work.bfloat16;
  const double at_peak = speed.work.float32 / speed.peak.float32 +
                         speed.work.bfloat16 / speed.peak.bfloat16;
  note(concat("optimizer ", core::fixed(speed.seconds * 1e3, 1),
              " ms a step; polar factors at least ",
              core::fixed(flops / speed.seconds * 1e-9, 1), " GFLOP/s, ",
              core::fixed(100 * at_peak / speed.seconds, 0),
              "% of the measured peak (all passes of the optimizer included)"));
}

void Progress::finished(const RunSummary& s) {
  std::string line = concat(s.status, " ", s.steps);
  if (s.val_loss) {
    line += concat("  held-out ", core::fixed(*s.val_loss, 4), "  bpb ",
                   core::fixed(s.bits_per_byte.value_or(0), 4));
  }
  if (!s.cause.empty()) line += ": " + s.cause;
  note(concat(line, " | train ", core::duration(s.train_seconds), "  eval ",
              core::duration(s.eval_seconds), " | ", core::grouped(s.tokens),
              " tok | ", core::shortest(s.flops), " FLOP"));
}

}  // namespace muonlab::train
