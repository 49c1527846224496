// Named rules: a preset is a filled-in pipeline, nothing more.
//
//   auto options = muonlab::optim::muonw().lr(2e-3).weight_decay(0.1);
#pragma once

#include <torch/arg.h>
#include <torch/optim/optimizer.h>

#include <string>
#include <string_view>
#include <vector>

#include "muonlab/optim/rule.h"

namespace muonlab::optim {

/// The options of one parameter group. LibTorch's schedulers read and write
/// `lr` through get_lr and set_lr.
class GroupOptions
    : public torch::optim::OptimizerCloneableOptions<GroupOptions> {
 public:
  explicit GroupOptions(UpdateRule update = AdamWRule{}, double lr = 1e-3,
                        double weight_decay = 0)
      : lr_(lr), weight_decay_(weight_decay), update_(std::move(update)) {}

  TORCH_ARG(double, lr);  // learning rate per step, >= 0
  TORCH_ARG(double,
            weight_decay);  // lambda: W shrinks by lr*lambda a step, >= 0
  TORCH_ARG(UpdateRule, update);

 public:
  double get_lr() const override { return lr(); }
  void set_lr(const double new_lr) override { lr(new_lr); }
};

/// Throws Error(kInvalidArgument) naming the field, the value and the range.
void validate(const GroupOptions& options, std::string_view who);

/// Muon (K. Jordan, github.com/KellerJordan/Muon): EMA .95, Nesterov, five
/// Keller steps, scale s2, rate .02, no decay.
[[nodiscard]] GroupOptions muon();
/// MuonW (Moonlight, arXiv 2502.16982): heavy ball .95, Nesterov, five Keller
/// steps, scale s4, rate 1e-3, decay .1.
[[nodiscard]] GroupOptions muonw();
/// AdamW with the settings of language models: betas (.9, .95), eps 1e-8.
[[nodiscard]] GroupOptions adamw();

/// Throws Error(kInvalidArgument) on another name, with the nearest one.
[[nodiscard]] GroupOptions preset(std::string_view name);
[[nodiscard]] const std::vector<std::string>& preset_names();

}  // namespace muonlab::optim
