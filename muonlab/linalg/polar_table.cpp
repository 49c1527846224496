#include "muonlab/linalg/polar_table.h"

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab {

namespace {

constexpr Quintic kKeller = {3.4445, -4.7750, 2.0315};
constexpr Quintic kTaylor = {15.0 / 8, -5.0 / 4, 3.0 / 8};
constexpr Quintic kSimple = {2, -3.0 / 2, 1.0 / 2};

Quintic over_1024(double a, double b, double c) {
  return {a / 1024, b / 1024, c / 1024};
}

std::vector<PolarTable> all_tables() {
  std::vector<Quintic> deepseek(8, kKeller);
  deepseek.push_back(kSimple);
  const std::vector<Quintic> modded = {
      {8.156554524902461, -22.48329292557795, 15.878769915207462},
      {4.042929935166739, -2.808917465908714, .5000178451051316},
      {3.8916678022926607, -2.772484153217685, .5060648178503393},
      {3.285753657755655, -2.3681294933425376, .46449024233003106},
      {2.3465413258596377, -1.7097828382687081, .42323551169305323}};
  return {
      {"keller", {kKeller}, 1, "github.com/KellerJordan/Muon"},
      {"taylor", {kTaylor}, 1, "Taylor expansion of the sign at 1"},
      {"cubic", {{3.0 / 2, -1.0 / 2, 0}}, 1, "Newton-Schulz"},
      {"simple", {kSimple}, 1, "modded-nanogpt track 3, Aurora"},
      {"su1", {{3.3748, -4.6969, 2.1433}}, 1, "kexue.fm 10922"},
      {"you5",
       {{4.0848, -6.8946, 2.9270},
        {3.9505, -6.3029, 2.6377},
        {3.7418, -5.5913, 2.3037},
        {2.8769, -3.1427, 1.2046},
        {2.8366, -3.0525, 1.2012}},
       1,
       "YouJiacheng"},
      {"you6",
       {over_1024(3955, -8306, 5008), over_1024(3735, -6681, 3463),
        over_1024(3799, -6499, 3211), over_1024(4019, -6385, 2906),
        over_1024(2677, -3029, 1162), over_1024(2172, -1833, 682)},
       1,
       "YouJiacheng"},
      {"su-x3",
       {{4.6182, -12.9582, 9.3299},
        {3.8496, -7.9585, 4.3052},
        {3.5204, -7.2918, 4.0606},
        {3.2067, -6.8243, 4.2802},
        {3.2978, -5.7848, 3.8917}},
       1,
       "kexue.fm"},
      {"polar-express",
       damped({{8.28721201814563, -23.595886519098837, 17.300387312530933},
               {4.107059111542203, -2.9478499167379106, .5448431082926601},
               {3.9486908534822946, -2.908902115962949, .5518191394370137},
               {3.3184196573706015, -2.488488024314874, .51004894012372},
               {2.300652019954817, -1.6689039845747493, .4188073119525673},
               {1.891301407787398, -1.2679958271945868, .37680408948524835},
               {1.8750014808534479, -1.2500016453999487, .3750001645474248},
               kTaylor},
              1.01),
       1.01, "arXiv 2505.16932"},
      {"polar-express-modded", modded, 1.02, "modded-nanogpt, microsoft/dion"},
      {"polar-express-nanochat", modded, 1.01, "karpathy/nanochat"},
      // What NVIDIA's code has: the official rows to four decimals, and no
      // further safety.
      {"polar-express-eo",
       {{8.2051, -22.9019, 16.4607},
        {4.0664, -2.8612, .5184},
        {3.9096, -2.8234, .5250},
        {3.2856, -2.4153, .4853},
        {2.2779, -1.6198, .3985},
        {1.8726, -1.2307, .3585},
        {1.8564, -1.2132, .3568},
        {1.8750, -1.2500, .3750}},
       1,
       "NVIDIA Emerging-Optimizers"},
      {"polar-express-dao",
       {{7.8925828744, -20.3830139459, 13.5553061494},
        {3.9114848681, -2.5464635929, .4268988320},
        {3.7606579557, -2.5128190182, .4323647349},
        {3.1603996737, -2.1496495189, .3996366908},
        {2.1910971619, -1.4416620102, .3281464876}},
       1,
       "Dao-AILab/gram-newton-schulz"},
      {"cans",
       {{8.470328803848, -25.108074706662, 18.629275599118},
        {4.182834183294, -3.108701109889, .580606681350},
        {3.961857278962, -2.954063746359, .562976117954},
        {3.286586217028, -2.464720134531, .507357693861},
        {2.273749994434, -1.644660367908, .416190927498}},
       1,
       "arXiv 2506.10935"},
      {"cubic5",
       {{3.3656576, -3.3420992, 0},
        {2.5744352, -1.4957376, 0},
        {2.5368962, -1.4312570, 0},
        {2.4418906, -1.2764040, 0},
        {2.2230472, -.9630650, 0}},
       1,
       "arXiv 2606.00371"},
      {"deepseek-v4", deepseek, 1, "NVIDIA Emerging-Optimizers"},
      {"aol-turbo",
       {{4.0098, -7.0585, 2.4635},
        {3.4585, -5.5479, 2.5959},
        {2.7573, -3.2939, 1.4254},
        {2.7215, -3.0494, 1.3169}},
       1,
       "arXiv 2512.04632",
       true},
      {"aol-dion",
       {{4.6051, -9.6552, 5.6769},
        {4.7505, -6.0861, 2.1790},
        {2.7763, -2.3190, .5523},
        {2.4231, -2.2861, .8193}},
       1,
       "microsoft/dion",
       true},
  };
}

const std::vector<PolarTable>& tables() {
  static const std::vector<PolarTable> kTables = all_tables();
  return kTables;
}

}  // namespace

std::vector<Quintic> damped(std::vector<Quintic> rows, double s) {
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    rows[i].a /= s;
    rows[i].b /= s * s * s;
    rows[i].c /= s * s * s * s * s;
  }
  return rows;
}

const PolarTable& polar_table(std::string_view name) {
  for (const PolarTable& table : tables()) {
    if (table.name == name) return table;
  }
  throw Error(ErrorKind::kInvalidArgument,
              concat("polar: no coefficient set '", name, "'",
                     core::suggestion(name, polar_table_names())));
}

const std::vector<std::string>& polar_table_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const PolarTable& table : tables()) names.emplace_back(table.name);
    return names;
  }();
  return kNames;
}

}  // namespace muonlab
