// The one optimizer object: runs a routing plan as a torch::optim::Optimizer.
#pragma once

#include <torch/optim/optimizer.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "muonlab/optim/load_report.h"
#include "muonlab/optim/plan.h"
#include "muonlab/optim/qk_clip.h"

namespace muonlab::optim {

struct GradientFacts;

/// Sees every parameter that a step updates: diagnostics, tests.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  /// Clipping multiplies every gradient of the coming step by this.
  virtual void begin_step(double gradient_scale) { (void)gradient_scale; }
  /// The parameter still has its old value.
  virtual void before_update(const Route& route, const GroupOptions& options) {
    (void)route, (void)options;
  }
  virtual void after_update(const Route& route, const GroupOptions& options) {
    (void)route, (void)options;
  }
};

/// What one rule did since the optimizer was made.
struct RuleCounters {
  std::int64_t updates = 0;           ///< of parameters
  std::int64_t skipped_zero = 0;      ///< logical matrices, zero gradient
  std::int64_t without_gradient = 0;  ///< parameters, counted at every step
};

/// Works with LibTorch's schedulers, clipping and loops. One parameter group
/// per group of the plan, in its order. A parameter's rule, rate and decay are
/// always those of its group in the plan, whichever parameter group holds it:
/// LibTorch replaces the options of groups that are added through
/// `torch::optim::Optimizer&`, so nothing else could be relied on.
///
/// `step()` changes the parameters and the optimizer's own state, nothing else.
/// Parameters without a gradient are skipped and counted. Not thread-safe.
class Optimizer : public torch::optim::Optimizer {
 public:
  /// Throws Error(kInvalidArgument) on options outside their range.
  explicit Optimizer(Plan plan);

  /// One update of every parameter that has a gradient. Throws, and has changed
  /// nothing then: Error(kInvalidArgument), naming the parameter, on one that
  /// the plan does not know (it came through add_param_group or
  /// param_groups()), on options outside their range, on a sparse gradient or
  /// one of another shape; Error(kDiverged), naming the parameter, on a
  /// gradient with NaN or infinity.
  torch::Tensor step(LossClosure closure = nullptr) override;

  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }

  /// Updates that each parameter has had, by name.
  [[nodiscard]] const std::map<std::string, std::int64_t>& updates() const {
    return updates_;
  }
  /// By rule.
  [[nodiscard]] const std::map<std::string, RuleCounters>& counters() const {
    return counters_;
  }
  /// One line per rule, and one for each parameter that was never updated.
  [[nodiscard]] std::string report() const;

  /// Multiplies the plan's learning rates: what a schedule sets before a step.
  void set_lr_factor(double factor);

  /// Sets the momentum b of every group whose rule is of the pipeline to
  /// start + share (b of the plan - start): what a momentum warm-up sets before
  /// a step (share 0 at its begin, 1 from its end on). Throws
  /// Error(kInvalidArgument) when a value is outside [0, 1), or no group has
  /// such a rule. EMA and heavy ball are no longer the same direction then.
  void set_momentum_share(double start, double share);

  /// Gradients longer than this, all parameters together (2-norm), are scaled
  /// down to it inside the step, which saves passes over memory; the gradients
  /// themselves stay as they are. 0: none. Throws Error(kInvalidArgument) on a
  /// negative or non-finite value.
  void set_max_gradient_norm(double norm);
  /// Of the last step, before clipping.
  [[nodiscard]] double gradient_norm() const { return gradient_norm_; }
  [[nodiscard]] bool clipped() const { return gradient_scale_ != 1; }

  /// Where QK-clip finds its logits. A rule whose qk_clip is set needs a source
  /// for every parameter that it clips: step() throws without any.
  void set_attention(std::vector<AttentionSource> sources);
  /// Heads that QK-clip scaled since the optimizer was made.
  [[nodiscard]] std::int64_t clipped_heads() const { return clipped_heads_; }

  /// Not owned; null removes it.
  void set_observer(StepObserver* observer) { observer_ = observer; }

  /// A tensor of a parameter's state by slot ("momentum", "second_moment",
  /// "left.query"), made of zeros where the parameter has not stepped yet; the
  /// optimizer's own, so writing changes the next step. Throws
  /// Error(kInvalidArgument) on another name.
  [[nodiscard]] at::Tensor state_tensor(const std::string& parameter,
                                        const std::string& slot);
  /// Sets how many updates a parameter is taken to have had, for states that
  /// come from elsewhere.
  void set_steps(const std::string& parameter, std::int64_t steps);

  /// State by parameter name as safetensors; save, load, step is bitwise the
  /// same as step. load throws Error(kIo), Error(kCorruptData), or
  /// Error(kInvalidArgument) with all faults named; nothing is loaded then.
  /// Other groups and rates are no fault; parameters that are missing in the
  /// file, or that it has and the plan does not, are one unless `options` allow
  /// it. The report says what moved, what is new and what was dropped.
  void save(const std::filesystem::path& path) const;
  LoadReport load(const std::filesystem::path& path,
                  const LoadOptions& options = {});
  /// The same state for torch::save and torch::load.
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;

 private:
  struct State {
    std::vector<std::int64_t>
        steps;  // per logical matrix; one if there is none
    std::map<std::string, at::Tensor> tensors;
  };
  using Tensors = std::map<std::string, at::Tensor>;
  // A parameter whose gradient passed all checks.
  struct Work {
    std::size_t route = 0;
    std::vector<bool> skipped;  // per logical matrix
  };
  struct OpenParameter;  // one whose matrices are in work

  // Indices into plan_.routes of all parameters in the groups; throws on
  // strangers.
  [[nodiscard]] std::vector<std::size_t> members() const;
  [[nodiscard]] const GroupOptions& options_of_group(std::size_t group) const;
  [[nodiscard]] const GroupOptions& options_of_route(const Route& r) const {
    return options_of_group(r.group);
  }
  void check_groups() const;
  [[nodiscard]] std::vector<Work> checked_work();
  void check_gradient(const Route& route) const;
  [[nodiscard]] Work checked(std::size_t index,
                             const GradientFacts& facts) const;
  void check_attention() const;
  void step_matrices(const std::vector<Work>& work);
  void open(OpenParameter& parameter, const Work& work);
  void close(OpenParameter& parameter);
  void step_elements(std::size_t group, const std::vector<Work>& work);
  void clip_heads();
  [[nodiscard]] const Route& route_named(const std::string& name) const;
  [[nodiscard]] State& state_of(const Route& route);
  [[nodiscard]] State new_state(const Route& route) const;
  [[nodiscard]] std::map<std::string, std::vector<std::int64_t>> layout_of(
      const Route& route) const;

  [[nodiscard]] Tensors state_tensors() const;
  [[nodiscard]] std::string state_description() const;
  LoadReport restore(Tensors tensors, const std::string& description,
                     const std::string& source, const LoadOptions& options);

  Plan plan_;
  std::map<const void*, std::size_t> known_;  // tensor -> index of its route
  std::map<std::string, State> states_;
  std::map<std::string, std::int64_t> updates_;
  std::map<std::string, RuleCounters> counters_;
  std::vector<AttentionSource> attention_;
  std::int64_t clipped_heads_ = 0;
  double max_gradient_norm_ = 0;
  double gradient_norm_ = 0;
  double gradient_scale_ = 1;
  StepObserver* observer_ = nullptr;
};

}  // namespace muonlab::optim
