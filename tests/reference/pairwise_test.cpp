#include "tests/reference/pairwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace muonlab::reference {
namespace {

// `options` options of `values` values each.
std::vector<Choice> grid(int options, int values) {
  std::vector<Choice> choices;
  for (int i = 0; i < options; ++i) {
    const std::string name(1, static_cast<char>('a' + i));
    for (int j = 0; j < values; ++j) {
      choices.push_back({name, {{name, static_cast<double>(j)}}});
    }
  }
  return choices;
}

bool meet(const Covering& covering, const Choice& a, const Choice& b) {
  const auto holds = [](const Options& row, const Choice& choice) {
    return std::all_of(
        choice.values.begin(), choice.values.end(), [&row](const auto& option) {
          const auto found = row.find(option.first);
          return found != row.end() && found->second == option.second;
        });
  };
  return std::any_of(
      covering.rows.begin(), covering.rows.end(),
      [&](const Options& row) { return holds(row, a) && holds(row, b); });
}

TEST(Pairwise, AnyTwoChoicesMeet) {
  const std::vector<Choice> choices = grid(6, 3);
  const Covering covering =
      cover_pairs(choices, [](const Options&) { return true; });
  EXPECT_EQ(covering.pairs, 15U * 9U);
  EXPECT_EQ(covering.forbidden, 0U);
  EXPECT_GE(covering.rows.size(), 9U);
  EXPECT_LE(covering.rows.size(), 25U);  // one pair per row would be 135
  for (const Choice& a : choices) {
    for (const Choice& b : choices) {
      EXPECT_EQ(meet(covering, a, b),
                a.option != b.option || a.values == b.values);
    }
  }
}

TEST(Pairwise, ForbiddenPairsNeverMeet) {
  const std::vector<Choice> choices = grid(4, 2);
  const auto allowed = [](const Options& row) {
    return !(row.contains("a") && row.contains("b"));
  };
  const Covering covering = cover_pairs(choices, allowed);
  EXPECT_EQ(covering.pairs, 24U);
  EXPECT_EQ(covering.forbidden, 4U);
  EXPECT_TRUE(std::all_of(covering.rows.begin(), covering.rows.end(), allowed));
  EXPECT_FALSE(meet(covering, choices[0], choices[2]));
  EXPECT_TRUE(meet(covering, choices[0], choices[4]));
}

TEST(Pairwise, WhatAChoiceNeedsGoesAlong) {
  const Choice power = {"direction",
                        {{"direction", std::string("power")}, {"rho", 0.5}}};
  EXPECT_EQ(choice_name(power), "direction=power,rho=0.5");
  const Covering covering =
      cover_pairs({power, {"lr", {{"lr", 0.1}}}, {"rho", {{"rho", 0.1}}}},
                  [](const Options&) { return true; });
  EXPECT_EQ(covering.forbidden, 1U);
  ASSERT_EQ(covering.rows.size(), 2U);
  EXPECT_EQ(covering.rows[0].size(), 3U);
}

}  // namespace
}  // namespace muonlab::reference
