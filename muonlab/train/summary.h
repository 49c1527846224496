// summary.json: the outcome of a run, for people and programs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace muonlab::train {

/// Medians over the steps after the first few, in seconds.
struct StepSeconds {
  double forward = 0;
  double backward = 0;
  double optimizer = 0;  ///< norm, clipping, update
  double other = 0;      ///< batch and logs
};

struct RunSummary {
  std::string status;       ///< "done", "diverged" or "interrupted"
  std::string cause;        ///< why it diverged; else empty
  std::string identity;     ///< run_identity() of the run
  std::string dataset;      ///< hash of the dataset
  std::int64_t steps = 0;   ///< done
  std::int64_t tokens = 0;  ///< trained on
  double flops = 0;
  double initial_loss = 0;  ///< of the first training batch, nats per token
  std::optional<double> val_loss;  ///< nats per token; unset unless done
  std::optional<double> bits_per_byte;
  std::optional<double> standard_error;
  std::optional<double> accuracy;  ///< share of held-out tokens ranked first
  std::string split;               ///< on which val_loss was measured
  std::int64_t held_out_tokens = 0;
  std::int64_t train_tokens = 0;  ///< in the training split
  std::int64_t parameters = 0;
  std::int64_t hidden_parameters = 0;  ///< under the hidden rule
  double clipped_share = 0;            ///< of the steps
  double train_seconds = 0;            ///< steps only
  double eval_seconds = 0;
  double peak_memory_bytes = 0;
  StepSeconds step_seconds;
  std::string weights_sha256;
};

void write_summary(const std::filesystem::path& path,
                   const RunSummary& summary);
/// Throws Error(kIo) or Error(kCorruptData) naming file and field.
[[nodiscard]] RunSummary read_summary(const std::filesystem::path& path);

}  // namespace muonlab::train
