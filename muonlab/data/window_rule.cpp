#include "muonlab/data/window_rule.h"

#include <charconv>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::data {

namespace {

constexpr std::string_view kSeed = "windows/mt19937/seed=";
constexpr std::string_view kHeldOut = "/held_out=";

// Reads a number off the front of `text`.
template <typename Number>
bool take(std::string_view& text, Number& number) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, std::string_view words) {
  if (!text.starts_with(words)) return false;
  text.remove_prefix(words.size());
  return true;
}

}  // namespace

std::string WindowRule::text() const {
  return concat(kSeed, seed, kHeldOut, core::shortest(held_out));
}

std::optional<WindowRule> WindowRule::parse(std::string_view text) {
  WindowRule rule;
  if (take(text, kSeed) && take(text, rule.seed) && take(text, kHeldOut) &&
      take(text, rule.held_out) && text.empty()) {
    return rule;
  }
  return std::nullopt;
}

}  // namespace muonlab::data
