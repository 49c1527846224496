// Named rules: a preset is a filled-in pipeline, nothing more.
//
//   auto options = muonlab::optim::muonw().lr(2e-3).weight_decay(0.1);
//   auto other = muonlab::optim::preset("adamuon").set("nesterov", true);
#pragma once

#include <torch/arg.h>
#include <torch/optim/optimizer.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/optim/options.h"
#include "muonlab/optim/rule.h"

namespace muonlab::optim {

/// The options of one parameter group. LibTorch's schedulers read and write
/// `lr` through get_lr and set_lr.
class GroupOptions
    : public torch::optim::OptimizerCloneableOptions<GroupOptions> {
 public:
  explicit GroupOptions(UpdateRule update = AdamRule{}, double lr = 1e-3,
                        double weight_decay = 0)
      : lr_(lr), weight_decay_(weight_decay), update_(std::move(update)) {}

  TORCH_ARG(double, lr);            // learning rate per step, >= 0
  TORCH_ARG(double, weight_decay);  // lambda, >= 0; see Decay for its effect
  TORCH_ARG(UpdateRule, update);

 public:
  /// Sets an option of the rule by its name. Throws Error(kInvalidArgument) on
  /// an option that the rule does not have, one without effect, or a value out
  /// of range; nothing is changed then.
  /// A template, so that a number never turns into another kind on its way.
  template <typename Value>
  GroupOptions& set(const std::string& name, const Value& value) {
    set_options(update_, {{name, option_value(value)}}, "GroupOptions: ");
    return *this;
  }

  double get_lr() const override { return lr(); }
  void set_lr(const double new_lr) override { lr(new_lr); }
};

/// What a group sets and what it leaves to its defaults: an explicit value
/// stays when the defaults change, even where it equals them.
struct GroupOverrides {
  /// A preset: its values replace all others.
  std::optional<std::string> rule = std::nullopt;
  std::optional<double> lr = std::nullopt;
  std::optional<double> weight_decay = std::nullopt;
  OptionMap options = {};
};
[[nodiscard]] GroupOptions merged(const GroupOptions& defaults,
                                  const GroupOverrides& overrides,
                                  std::string_view who);

/// Throws Error(kInvalidArgument) naming the field, the value and the range.
void validate(const GroupOptions& options, std::string_view who);

/// A preset with its options, source and place in the documentation.
struct Preset {
  std::string name;
  std::string about;   ///< one line
  std::string source;  ///< paper or repository
  GroupOptions options;
};
/// Matrix rules first, in the order of the documentation.
[[nodiscard]] const std::vector<Preset>& presets();

/// Throws Error(kInvalidArgument) on another name, with the nearest one.
[[nodiscard]] const Preset& find_preset(std::string_view name);
[[nodiscard]] GroupOptions preset(std::string_view name);
[[nodiscard]] const std::vector<std::string>& preset_names();

/// Muon (K. Jordan, github.com/KellerJordan/Muon): EMA .95, Nesterov, five
/// Keller steps, scale s2, rate .02, no decay.
[[nodiscard]] GroupOptions muon();
/// MuonW (Moonlight, arXiv 2502.16982): heavy ball .95, Nesterov, five Keller
/// steps, scale s4, rate 1e-3, decay .1.
[[nodiscard]] GroupOptions muonw();
/// AdaMuon (arXiv 2507.11005) as the paper has it.
[[nodiscard]] GroupOptions adamuon();
/// NorMuon (arXiv 2510.05491).
[[nodiscard]] GroupOptions normuon();
/// AdamW with the settings of language models: betas (.9, .95), eps 1e-8.
[[nodiscard]] GroupOptions adamw();
/// SGD with momentum .9 and L2 decay, as torch.optim.SGD.
[[nodiscard]] GroupOptions sgd();
/// Lion (arXiv 2302.06675).
[[nodiscard]] GroupOptions lion();
/// SOAP (arXiv 2409.11321).
[[nodiscard]] GroupOptions soap();

}  // namespace muonlab::optim
