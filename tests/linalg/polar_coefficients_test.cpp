// Tables as text: names, own rows, the generator, and which are refused.
#include "muonlab/linalg/polar_coefficients.h"

#include <torch/torch.h>

#include <functional>

#include "muonlab/linalg/polar.h"
#include "muonlab/linalg/polar_convergence.h"
#include "muonlab/linalg/polar_express.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::same_bits;

constexpr auto kKind = ErrorKind::kInvalidArgument;

std::function<void()> reading(const std::string& text, int steps = 5) {
  return [=] { (void)polar_coefficients(text, steps); };
}

TEST(PolarCoefficients, TakeNamesRowsAndTheGenerator) {
  EXPECT_EQ(&polar_coefficients("keller", 5), &polar_table("keller"));
  const PolarTable& own =
      polar_coefficients(" 2, -1.5,0.5;1.875,-1.25,+0.375 ; safety = 1.05", 5);
  EXPECT_EQ(own.rows,
            (std::vector<Quintic>{{2, -1.5, 0.5}, {1.875, -1.25, 0.375}}));
  EXPECT_EQ(own.safety, 1.05);
  const PolarTable& made = polar_coefficients(
      "polar-express:lower=1e-4, steps=6,cushion=0.02,safety=1.01", 6);
  EXPECT_EQ(made.rows,
            polar_express_table(
                {.lower = 1e-4, .steps = 6, .cushion = 0.02, .safety = 1.01})
                .rows);
  EXPECT_EQ(made.safety, 1.01);
  EXPECT_EQ(polar_coefficients("polar-express:", 5).rows,
            polar_express_table().rows);
  EXPECT_EQ(polar_coefficients("polar-express:degree=3", 5).rows[0].c, 0);
}

TEST(PolarCoefficients, AreMadeOncePerText) {
  const std::string text = "2,-1.5,0.5";
  EXPECT_EQ(&polar_coefficients(text, 5), &polar_coefficients(text, 5));
}

TEST(PolarCoefficients, ReadBackWhatTheyWrite) {
  for (const std::string& name : polar_table_names()) {
    const PolarTable& table = polar_table(name);
    if (table.aol) continue;  // which own rows cannot be
    const std::string text = polar_coefficients_text(table);
    const PolarTable& own = polar_coefficients(text, 5);
    EXPECT_EQ(own.rows, table.rows) << name;
    EXPECT_EQ(own.safety, table.safety) << name;
    const at::Tensor m = random_tensor({6, 9}, 90);
    EXPECT_TRUE(same_bits(polar_factor(m, {.coefficients = text}),
                          polar_factor(m, {.coefficients = name})))
        << name;
  }
}

TEST(PolarCoefficients, RefuseWhatTheyCannotRead) {
  expect_error(kKind, {"'kelle'", "did you mean 'keller'"}, reading("kelle"));
  expect_error(kKind, {"row 2", "'1,2'", "a,b,c"}, reading("2,-1.5,.5;1,2"));
  expect_error(kKind, {"row 1", "'x'", "number"}, reading("2,x,.5"));
  expect_error(kKind, {"row 1", "'nan'"}, reading("nan,1,1"));
  expect_error(kKind, {"row 2", "got ''"}, reading("2,-1.5,.5;"));
  expect_error(kKind, {"got 0 rows"}, reading("safety=1.1"));
  expect_error(kKind, {"safety", "got 0.5"}, reading("2,-1.5,.5;safety=0.5"));
  expect_error(kKind, {"speed=1", "safety"}, reading("2,-1.5,.5;speed=1"));
  expect_error(kKind, {"no 'cushon'", "'cushion'"},
               reading("polar-express:cushon=1"));
  expect_error(kKind, {"name=value", "'5'"}, reading("polar-express:5"));
  expect_error(kKind, {"steps", "'2.5'"}, reading("polar-express:steps=2.5"));
  expect_error(kKind, {"lower", "got 3"}, reading("polar-express:lower=3"));
}

TEST(PolarCoefficients, RefuseATableThatStrays) {
  // As printed in a blog: c is wrong, the first row sends 1 to 2.27.
  expect_error(kKind,
               {"step 1 takes the singular value 1 (", "to 2.265", "in (0, 2]",
                "safety"},
               reading("8.123737,-22.232240,16.373715; "
                       "4.1,-2.9,0.54; 3.9,-2.9,0.55"));
  // A sign lost.
  expect_error(kKind, {"step 1", "to 3.5"}, reading("1.875,1.25,0.375"));
  // A sign change near 1, which only the norm aol keeps away from.
  expect_error(kKind, {"to -0.5852"}, reading("4.0098,-7.0585,2.4635"));
  // Fine for two steps, not for three.
  const std::string late = "1.5,-0.5,0; 1.5,-0.5,0; 3,0,0";
  EXPECT_NO_THROW(reading(late, 2)());
  expect_error(kKind, {"step 3"}, reading(late, 3));
}

TEST(PolarCoefficients, OfATableThatStraysNameTheWorst) {
  const PolarTable table = {"", {{3, 0, 0}}};
  const auto c = polar_convergence(table, 1, 0.1);
  ASSERT_TRUE(c.stray);
  EXPECT_EQ(c.stray->sigma, 1);
  EXPECT_EQ(c.stray->value, 3);
  EXPECT_EQ(c.stray->step, 1);
  EXPECT_EQ(c.slope, 3);
  EXPECT_NEAR(c.lifted, 0.7 / 3, 1e-12);
}

TEST(PolarCoefficients, AllowATableThatDoesNotSettle) {
  const PolarTable& own = polar_coefficients("3.4445,-4.7750,2.0315", 5);
  EXPECT_FALSE(polar_convergence(own, 5, 0.01).settles);
  EXPECT_EQ(polar_convergence({"", {{1, 0, 0}}}, 5, 0.1).lifted, 0.7);
}

TEST(PolarCoefficients, OfConvergenceChecksItsArguments) {
  expect_error(kKind, {"without rows"},
               [] { (void)polar_convergence({}, 5, 0.1); });
  expect_error(kKind, {"lower", "got 1"},
               [] { (void)polar_convergence(polar_table("keller"), 5, 1); });
}

}  // namespace
}  // namespace muonlab
