#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr int kLossDigits = 4;
constexpr const char* kMinus = "−";

}  // namespace

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return core::shortest(value);
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                 value, std::chars_format::general, digits);
  return std::string(buffer.data(), end.ptr);
}

std::string rate_text(double rate) { return significant(rate, 3); }

std::string loss_text(double loss) { return core::fixed(loss, kLossDigits); }

std::string loss_text(const std::optional<double>& loss) {
  return loss ? loss_text(*loss) : kNone;
}

std::string fixed_text(double value, int digits) {
  return (value < 0 ? kMinus : "") + core::fixed(std::abs(value), digits);
}

std::string signed_text(double value) {
  const std::string digits = core::fixed(std::abs(value), kLossDigits);
  const bool zero = digits.find_first_not_of("0.") == std::string::npos;
  if (zero) return digits;
  return (value < 0 ? kMinus : "+") + digits;
}

std::string interval_text(const statistics::Interval& interval) {
  return signed_text(interval.low) + " to " + signed_text(interval.high);
}

std::string p_text(const std::optional<double>& p) {
  return p ? significant(*p, 2) : kNone;
}

std::string p_equation(double p) { return "p = " + significant(p, 2); }

std::string percent_text(double share) {
  return core::fixed(100 * share, 1) + " %";
}

std::string list_text(std::span<const std::string> parts) {
  if (parts.empty()) return "none";
  if (parts.size() == 1) return parts.front();
  return core::join(parts.first(parts.size() - 1), ", ") + " and " +
         parts.back();
}

std::string seeds_text(std::span<const std::uint64_t> seeds) {
  std::vector<std::uint64_t> sorted(seeds.begin(), seeds.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < sorted.size();) {
    std::size_t end = i + 1;
    while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1) ++end;
    if (end - i >= 3) {
      parts.push_back(std::to_string(sorted[i]) + "–" +
                      std::to_string(sorted[end - 1]));
    } else {
      for (std::size_t j = i; j < end; ++j) {
        parts.push_back(std::to_string(sorted[j]));
      }
    }
    i = end;
  }
  return list_text(parts);
}

std::string count_text(std::int64_t count, const std::string& noun) {
  return core::grouped(count) + " " + noun + (count == 1 ? "" : "s");
}

std::int64_t planned_cells(const Results& results) {
  return std::max(results.setup.planned_cells,
                  static_cast<std::int64_t>(results.cells.size()));
}

std::string trial_text(const ArmPlan& arm, const Trial& trial) {
  std::string text = arm.is_joint()
                         ? "rate " + core::shortest(trial.hidden)
                         : "rates " + core::shortest(trial.hidden) + " / " +
                               core::shortest(trial.auxiliary);
  for (const auto& [key, value] : trial.settings) {
    text += ", " + key + " " + core::shortest(value);
  }
  if (trial.length != 1) {
    text += ", " + core::shortest(trial.length) + " of the steps";
  }
  return text;
}

std::string outcome_text(const ArmPlan& arm, const Cell& cell) {
  return cell.phase + " " + cell.arm + " " +
         trial_text(arm, {cell.hidden_lr, cell.auxiliary_lr, cell.settings,
                          cell.length}) +
         " seed " + std::to_string(cell.seed) +
         (cell.extension ? " (extension)" : "") +
         (cell.audit ? " (audit)" : "") + ": " +
         (cell.state == "diverged"
              ? "diverged (" + cell.cause + ")"
              : "loss " + loss_text(cell.loss.value_or(0)));
}

std::int64_t ended_cells(const Results& results) {
  return std::count_if(
      results.cells.begin(), results.cells.end(), [](const Cell& cell) {
        return cell.state == "done" || cell.state == "diverged";
      });
}

std::int64_t tokens_per_run(const Setup& setup) {
  return setup.steps * setup.tokens_per_step;
}

}  // namespace muonlab::study::detail
