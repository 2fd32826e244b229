//! bellperson on the constraints and variables that `zk export` wrote: proves, verifies, prints milliseconds.
//!
//! `ward-peer-bellperson FOLDER`. Wall and CPU time, the least of five; the key is made here and not counted.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bellperson::groth16::{
    Parameters, create_random_proof, generate_random_parameters, prepare_verifying_key, verify_proof,
};
use bellperson::{Circuit, ConstraintSystem, LinearCombination, SynthesisError, Variable};
use blstrs::{Bls12, Scalar};
use cpu_time::ProcessTime;
use ff::PrimeField;
use rand_core::OsRng;

type Row = Vec<(usize, Scalar)>;

/// What the two files say.
struct Recorded {
    inputs: usize,
    constraints: Vec<[Row; 3]>,
    variables: Vec<Scalar>,
}

/// The bytes of a file from a place on.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Box<dyn Error>> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("the file is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<usize, Box<dyn Error>> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?) as usize)
    }

    fn scalar(&mut self) -> Result<Scalar, Box<dyn Error>> {
        let bytes: [u8; 32] = self.take(32)?.try_into()?;
        Option::from(Scalar::from_repr(bytes)).ok_or_else(|| "not an element of the field".into())
    }

    /// The bodies of the sections, in order.
    fn sections(mut self) -> Result<Vec<&'a [u8]>, Box<dyn Error>> {
        self.take(8)?;
        let count = self.u32()?;
        let mut bodies = Vec::new();
        for _ in 0..count {
            self.u32()?;
            let length = u64::from_le_bytes(self.take(8)?.try_into()?);
            bodies.push(self.take(usize::try_from(length)?)?);
        }
        Ok(bodies)
    }
}

impl Recorded {
    fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let (r1cs, wtns) =
            (std::fs::read(folder.join("eligibility.r1cs"))?, std::fs::read(folder.join("eligibility.wtns"))?);
        let (r1cs, wtns) = (Bytes(&r1cs).sections()?, Bytes(&wtns).sections()?);
        let mut header = Bytes(r1cs[0]);
        header.take(36)?;
        let (variables, _, inputs, _) = (header.u32()?, header.u32()?, header.u32()?, header.u32()?);
        header.take(8)?;
        let count = header.u32()?;
        let mut body = Bytes(r1cs[1]);
        let mut row = || -> Result<Row, Box<dyn Error>> {
            (0..body.u32()?).map(|_| Ok((body.u32()?, body.scalar()?))).collect()
        };
        let constraints = (0..count).map(|_| Ok([row()?, row()?, row()?])).collect::<Result<_, Box<dyn Error>>>()?;
        let mut values = Bytes(wtns[1]);
        let variables = (0..variables).map(|_| values.scalar()).collect::<Result<_, _>>()?;
        Ok(Self { inputs, constraints, variables })
    }
}

impl Circuit<Scalar> for &Recorded {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let mut wires: Vec<Variable> = vec![CS::one()];
        for (at, value) in self.variables.iter().enumerate().skip(1) {
            wires.push(if at <= self.inputs {
                cs.alloc_input(|| "", || Ok(*value))?
            } else {
                cs.alloc(|| "", || Ok(*value))?
            });
        }
        for constraint in &self.constraints {
            let [a, b, c] = constraint.each_ref().map(|row| {
                row.iter().fold(LinearCombination::zero(), |sum, (wire, value)| sum + (*value, wires[*wire]))
            });
            cs.enforce(|| "", |_| a, |_| b, |_| c);
        }
        Ok(())
    }
}

fn least<T>(times: usize, mut run: impl FnMut() -> T) -> (Duration, Duration) {
    let (mut wall, mut cpu) = (Duration::MAX, Duration::MAX);
    for _ in 0..times {
        let begun = (Instant::now(), ProcessTime::now());
        std::hint::black_box(run());
        (wall, cpu) = (wall.min(begun.0.elapsed()), cpu.min(begun.1.elapsed()));
    }
    (wall, cpu)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("say the folder that `zk export` wrote")?;
    let recorded = Recorded::read(folder.as_ref())?;
    let key: Parameters<Bls12> = generate_random_parameters::<Bls12, _, _>(&recorded, &mut OsRng)?;
    let prepared = prepare_verifying_key(&key.vk);
    let proof = create_random_proof(&recorded, &key, &mut OsRng)?;
    let inputs = &recorded.variables[1..=recorded.inputs];
    if !verify_proof(&prepared, &proof, inputs)? {
        return Err("the proof does not hold".into());
    }
    let print = |what: &str, (wall, cpu): (Duration, Duration)| {
        println!(
            "{what:<36} {:>10.1} ms wall {:>10.1} ms CPU",
            wall.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e3
        );
    };
    print("prove, bellperson", least(5, || create_random_proof(&recorded, &key, &mut OsRng)));
    print("verify, bellperson", least(20, || verify_proof(&prepared, &proof, inputs)));
    Ok(())
}
