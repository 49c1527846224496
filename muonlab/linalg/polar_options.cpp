#include <algorithm>
#include <charconv>

#include "muonlab/core/error.h"
#include "muonlab/linalg/polar.h"
#include "muonlab/linalg/polar_coefficients.h"

namespace muonlab {

namespace {

// After every `period`-th step but the last.
std::vector<int> periodic(int first, int period, int steps) {
  std::vector<int> restarts;
  for (int step = first; step < steps; step += period) {
    restarts.push_back(step);
  }
  return restarts;
}

std::vector<int> automatic(const PolarOptions& options) {
  if (options.dtype == PolarDtype::kBFloat16) {
    return options.steps <= 5 ? periodic(1, 2, std::min(options.steps, 4))
                              : periodic(1, 1, options.steps);
  }
  return options.steps <= 5 ? periodic(2, 2, std::min(options.steps, 4))
                            : periodic(2, 2, options.steps);
}

[[noreturn]] void wrong(std::string_view text) {
  throw Error(ErrorKind::kInvalidArgument,
              concat("polar restarts: got '", text,
                     "', expected auto, none, every N, or ascending steps "
                     "such as 1,3"));
}

// The whole text as a positive number.
int step_in(std::string_view part, std::string_view text) {
  while (part.starts_with(' ')) part.remove_prefix(1);
  while (part.ends_with(' ')) part.remove_suffix(1);
  int value = 0;
  const auto [end, error] =
      std::from_chars(part.data(), part.data() + part.size(), value);
  if (error != std::errc() || end != part.data() + part.size() || value < 1) {
    wrong(text);
  }
  return value;
}

}  // namespace

std::vector<int> restart_steps(const PolarOptions& options) {
  const std::string_view text = options.restarts;
  if (text == "auto") return automatic(options);
  if (text == "none") return {};
  constexpr std::string_view kEvery = "every ";
  if (text.starts_with(kEvery)) {
    const int period = step_in(text.substr(kEvery.size()), text);
    return periodic(period, period, options.steps);
  }
  std::vector<int> restarts;
  std::string_view rest = text;
  while (true) {
    const auto comma = rest.find(',');
    const int step = step_in(rest.substr(0, comma), text);
    if (!restarts.empty() && step <= restarts.back()) wrong(text);
    MUONLAB_CHECK(step < options.steps, "polar restarts: got step ", step,
                  " of ", options.steps,
                  ", expected steps before the last one");
    restarts.push_back(step);
    if (comma == std::string_view::npos) return restarts;
    rest.remove_prefix(comma + 1);
  }
}

void validate(const PolarOptions& options, std::string_view who) {
  MUONLAB_CHECK(options.steps >= 1 && options.steps <= 100, who,
                ": polar steps: got ", options.steps, ", expected 1 to 100");
  MUONLAB_CHECK(options.eps > 0 && options.eps < 1, who, ": polar eps: got ",
                options.eps, ", expected more than 0 and less than 1");
  MUONLAB_CHECK(options.power_steps >= 1 && options.power_steps <= 100, who,
                ": polar power steps: got ", options.power_steps,
                ", expected 1 to 100");
  const PolarTable& table =
      polar_coefficients(options.coefficients, options.steps);
  const bool gram = options.method == PolarMethod::kGram;
  const bool automatic_form = options.method == PolarMethod::kAuto;
  const bool standard =
      options.method == PolarMethod::kNewtonSchulz || automatic_form;
  MUONLAB_CHECK(!automatic_form || options.dtype == PolarDtype::kAuto ||
                    options.dtype == PolarDtype::kFloat32 ||
                    options.dtype == PolarDtype::kBFloat16,
                who,
                ": polar dtype: the method auto takes auto, float32 or "
                "bfloat16, which say how accurate it must be");
  MUONLAB_CHECK(!automatic_form || options.norm == PolarNorm::kFrobenius, who,
                ": polar norm: the method auto takes frobenius alone");
  if (gram || automatic_form) (void)restart_steps(options);
  if (gram || standard) {
    MUONLAB_CHECK(!table.aol || options.norm == PolarNorm::kAol, who,
                  ": polar norm: table ", table.name,
                  " is only valid behind the norm aol: set polar_norm to aol, "
                  "or take another table");
  }
  MUONLAB_CHECK(options.dtype != PolarDtype::kBFloat16 || gram || standard, who,
                ": polar dtype: got bfloat16, which only the methods "
                "newton-schulz, gram and auto take");
  MUONLAB_CHECK(options.dtype != PolarDtype::kBFloat16Master || standard, who,
                ": polar dtype: got bfloat16-master, which only the method "
                "newton-schulz takes; for gram there is mixed");
  MUONLAB_CHECK(options.dtype != PolarDtype::kMixed || gram, who,
                ": polar dtype: got mixed, which only the method gram takes; "
                "for newton-schulz there is bfloat16-master");
}

}  // namespace muonlab
