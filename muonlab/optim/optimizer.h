// The one optimizer object: runs a routing plan as a torch::optim::Optimizer.
#pragma once

#include <torch/optim/optimizer.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "muonlab/optim/plan.h"

namespace muonlab::optim {

/// Works with LibTorch's schedulers, clipping and loops. One parameter group
/// per group of the plan, in its order.
///
/// `step()` changes the parameters and the optimizer's own state, nothing else.
/// Parameters without a gradient are skipped and counted. Not thread-safe.
class Optimizer : public torch::optim::Optimizer {
 public:
  /// Throws Error(kInvalidArgument) on options outside their range.
  explicit Optimizer(Plan plan);

  /// One update of every parameter that has a gradient. Throws
  /// Error(kInvalidArgument), naming the parameter, on one that the plan does
  /// not know (it came through add_param_group or param_groups()), on options
  /// outside their range, and on a sparse gradient; nothing is changed then.
  torch::Tensor step(LossClosure closure = nullptr) override;

  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }

  /// Updates that each parameter has had, by name.
  [[nodiscard]] const std::map<std::string, std::int64_t>& updates() const {
    return updates_;
  }

  /// Multiplies the plan's learning rates: what a schedule sets before a step.
  void set_lr_factor(double factor);

  /// State by parameter name as safetensors; save, load, step is bitwise the
  /// same as step. Throws Error(kIo), Error(kCorruptData), or
  /// Error(kInvalidArgument) when the file's names and shapes are not exactly
  /// those of the plan (all differences named; nothing is loaded then).
  void save(const std::filesystem::path& path) const;
  void load(const std::filesystem::path& path);
  /// The same state for torch::save and torch::load.
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;

 private:
  struct State {
    at::Tensor first;   // momentum, or AdamW's first moment
    at::Tensor second;  // AdamW's second moment; undefined for matrix rules
    std::int64_t step = 0;
  };
  using Tensors = std::map<std::string, at::Tensor>;

  // Index into plan_.routes of every parameter, by group; throws on strangers.
  [[nodiscard]] std::vector<std::vector<std::size_t>> members() const;
  void step_group(const GroupOptions& options,
                  const std::vector<std::size_t>& routes);
  [[nodiscard]] State& state_of(const Route& route, bool second);
  [[nodiscard]] Tensors state_tensors() const;
  void restore(const Tensors& tensors, const std::string& source);

  Plan plan_;
  std::map<const void*, std::size_t> known_;  // tensor -> index of its route
  std::map<std::string, State> states_;
  std::map<std::string, std::int64_t> updates_;
};

}  // namespace muonlab::optim
